package docker

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/builder/executor"
)

// A hold is a container around real folders: mounts are named by what is below top.
func hold(t *testing.T, top string, mounts ...container.MountPoint) *Executor {
	t.Helper()
	lines := []string{upperOf("/up/a"), hostsOf(idA)}
	for i := range mounts {
		m := &mounts[i]
		m.Destination = filepath.Join(top, m.Destination)
		root := "/elsewhere"
		if m.Name != "" {
			root = "/engine/volumes/" + m.Name + "/_data"
		}
		kind := "ext4"
		if m.Type == mount.TypeTmpfs {
			kind = "tmpfs"
		}
		lines = append(lines, line(root, m.Destination, kind))
	}
	given := mounts[:0:0]
	for _, m := range mounts {
		if m.Type != "" { // else the engine does not know of it
			given = append(given, m)
		}
	}
	return contained(t, &registrar{containers: []container.InspectResponse{made(idA, "/up/a", "bridge", given...)}}, "", lines...)
}

// bindAt is a folder of the engine's machine.
func bindAt(source, at string) container.MountPoint {
	return container.MountPoint{Type: mount.TypeBind, Source: source, Destination: at, RW: true}
}

// newTop makes folders, and a link that leads from one to another.
func newTop(t *testing.T) string {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"state/work/src/sub/deep", "state2/src", "own"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(top, dir), 0o777))
	}
	err = errors.Join(err,
		os.Symlink("../own", filepath.Join(top, "state/out")),
		os.Symlink("state/work", filepath.Join(top, "in")),
		os.WriteFile(filepath.Join(top, "state/file"), nil, 0o666))
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// What a container sees is what this process sees, by the engine's names, or nothing.
func TestShown(t *testing.T) {
	readOnly, plugged, memory := bindAt("/srv/x", "state"), volumeAt("v", "state"), container.MountPoint{Type: mount.TypeTmpfs, Destination: "state"}
	readOnly.RW, plugged.Driver = false, "nfs-plugin"
	unknown := container.MountPoint{Destination: "state/work"}
	for name, c := range map[string]struct {
		mounts []container.MountPoint
		dir    string
		want   []mount.Mount // all of the type bind
		fails  string
	}{
		"on a bind mount":        {mounts: []container.MountPoint{bindAt("/srv/x", "state")}, dir: "state/work/src", want: []mount.Mount{{Source: "/srv/x/work/src", Target: "/w"}}},
		"on a volume":            {mounts: []container.MountPoint{volumeAt("v", "state")}, dir: "state/work/src", want: []mount.Mount{{Source: "/engine/volumes/v/_data/work/src", Target: "/w"}}},
		"the mount itself":       {mounts: []container.MountPoint{bindAt("/srv/x", "state")}, dir: "state", want: []mount.Mount{{Source: "/srv/x", Target: "/w"}}},
		"the inner of two":       {mounts: []container.MountPoint{bindAt("/srv/x", "state"), volumeAt("v", "state/work")}, dir: "state/work/src", want: []mount.Mount{{Source: "/engine/volumes/v/_data/src", Target: "/w"}}},
		"only to be read":        {mounts: []container.MountPoint{readOnly}, dir: "state/work/src", want: []mount.Mount{{Source: "/srv/x/work/src", Target: "/w", ReadOnly: true}}},
		"with a mount in it":     {mounts: []container.MountPoint{bindAt("/srv/x", "state"), volumeAt("v", "state/work/src/sub")}, dir: "state/work/src", want: []mount.Mount{{Source: "/srv/x/work/src", Target: "/w"}, {Source: "/engine/volumes/v/_data", Target: "/w/sub"}}},
		"through a link":         {mounts: []container.MountPoint{bindAt("/srv/x", "state")}, dir: "in/src", want: []mount.Mount{{Source: "/srv/x/work/src", Target: "/w"}}},
		"a link that leads away": {mounts: []container.MountPoint{bindAt("/srv/x", "state")}, dir: "state/out", fails: "it is on no volume"},
		"a name that is longer":  {mounts: []container.MountPoint{bindAt("/srv/x", "state")}, dir: "state2/src", fails: "it is on no volume"},
		"its own layer":          {dir: "own", fails: "it is on no volume"},
		"its own memory":         {mounts: []container.MountPoint{memory}, dir: "state/work", fails: "which is no folder of the engine's machine"},
		"a plugin's volume":      {mounts: []container.MountPoint{plugged}, dir: "state/work", fails: "the driver nfs-plugin"},
		"a mount of its own":     {mounts: []container.MountPoint{bindAt("/srv/x", "state"), unknown}, dir: "state/work/src", fails: "it is on no volume"},
		"one of its own in it":   {mounts: []container.MountPoint{bindAt("/srv/x", "state"), unknown}, dir: "state", fails: "state/work is mounted in it: it is on no volume"},
		"the whole machine":      {mounts: []container.MountPoint{bindAt("/", "state")}, dir: "state", fails: "all of the engine's machine"},
		"a source that is odd":   {mounts: []container.MountPoint{bindAt("/srv/../etc", "state")}, dir: "state", fails: "no folder of the engine's machine"},
		"nothing there":          {mounts: []container.MountPoint{bindAt("/srv/x", "state")}, dir: "state/nothing", fails: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			top := newTop(t)
			e := hold(t, top, c.mounts...)
			got, err := e.show(t.Context(), filepath.Join(top, c.dir), "/w", false)
			if c.fails != "" {
				wantStartError(t, err, filepath.Join(top, c.dir)+" in the builder's container cannot be shown", c.fails)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.want {
				c.want[i].Type = mount.TypeBind
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("show (-want +got):\n%s", diff)
			}
		})
	}
}

// All mounts of a step's container are named for the engine; where they are seen is
// as on a machine.
func TestStepInAContainer(t *testing.T) {
	top := newTop(t)
	e := hold(t, top, bindAt("/srv/x", "state"))
	shared := filepath.Join(top, "state/work/src/sub")
	cmd := executor.Command{Argv: []string{"true"}, Workspace: filepath.Join(top, "state/work/src"), MountPoint: "/w/", ReadOnly: []string{shared}}
	s, err := e.newSpec(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	want := []mount.Mount{
		{Type: mount.TypeBind, Source: "/srv/x/work/src", Target: "/w"},
		{Type: mount.TypeBind, Source: "/srv/x/work/src/sub", Target: shared, ReadOnly: true},
	}
	if diff := cmp.Diff(want, s.host.Mounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	cmd.ReadOnly = []string{filepath.Join(top, "own")}
	_, err = e.newSpec(t.Context(), cmd)
	wantStartError(t, err, "it is on no volume", "--volume velocity:/var/lib/velocity")
}

// The engine's socket is not handed on because somebody mounted it in a workspace.
func TestSocketIsNotShown(t *testing.T) {
	top := newTop(t)
	t.Chdir(filepath.Join(top, "state")) // names of sockets are short
	l, err := net.Listen("unix", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := hold(t, top, bindAt("/srv/x", "state"), bindAt("/run/docker.sock", "state/s"))
	_, err = e.show(t.Context(), filepath.Join(top, "state"), "/w", false)
	wantStartError(t, err, "it is no file or folder")
}

func TestSource(t *testing.T) {
	top := newTop(t)
	e := hold(t, top, bindAt("/srv/x", "state"), bindAt("/srv/y", "state/work/src/sub"))
	file := filepath.Join(top, "state/file")
	if got, readOnly, err := e.Source(t.Context(), file); got != "/srv/x/file" || readOnly || err != nil {
		t.Errorf("Source = %q, %v, %v", got, readOnly, err)
	}
	_, _, err := e.Source(t.Context(), filepath.Join(top, "state/work"))
	wantStartError(t, err, filepath.Join(top, "state/work/src/sub")+" is mounted in it")
	onMachine := &Executor{}
	if got, readOnly, err := onMachine.Source(t.Context(), "/any/../where"); got != "/any/../where" || readOnly || err != nil {
		t.Errorf("Source on a machine = %q, %v, %v", got, readOnly, err)
	}
}

// Whether a builder's folder can be shown is known before it is made.
func TestShows(t *testing.T) {
	top := newTop(t)
	e := hold(t, top, bindAt("/srv/x", "state"))
	for dir, fails := range map[string]string{
		"state": "", "state/new/folder": "", "in/new": "", "own": "it is on no volume", "own/new": "it is on no volume", "state/out/new": "it is on no volume",
	} {
		err := e.Shows(t.Context(), filepath.Join(top, dir))
		if fails == "" {
			if err != nil {
				t.Errorf("Shows(%s): %v", dir, err)
			}
			continue
		}
		wantStartError(t, err, filepath.Join(top, dir), fails)
	}
}

// Whatever is mounted, a place is in the source of the innermost mount that holds it,
// as far below that as it is here; and nothing is a place that no mount holds.
func TestPlace(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "b", "ab", "..x", "a b"})
	whole := func(least int) *rapid.Generator[string] {
		return rapid.Custom(func(rt *rapid.T) string {
			return "/" + strings.Join(rapid.SliceOfN(name, least, 4).Draw(rt, "names"), "/")
		})
	}
	rapid.Check(t, func(rt *rapid.T) {
		o := &own{mounts: []mounted{{root: "/", point: "/", kind: "overlay"}}, given: map[string]container.MountPoint{}}
		for _, point := range rapid.SliceOfDistinct(whole(1), rapid.ID).Draw(rt, "points") {
			o.mounts = append(o.mounts, mounted{point: point, kind: rapid.SampledFrom([]string{"ext4", "tmpfs"}).Draw(rt, "kind")})
			if rapid.Bool().Draw(rt, "given") {
				o.given[point] = bindAt(whole(0).Draw(rt, "source"), point)
			}
		}
		at := whole(0).Draw(rt, "at")
		source, _, err := o.place(at)
		holder := at
		for !slices.ContainsFunc(o.mounts, func(m mounted) bool { return m.point == holder }) {
			holder = filepath.Dir(holder)
		}
		given, known := o.given[holder]
		want := given.Source + strings.TrimPrefix(at, holder)
		want = "/" + strings.TrimLeft(want, "/")
		switch {
		case !known || want == "/":
			if err == nil {
				rt.Fatalf("place(%q) = %q; want none, for it is on %q", at, source, holder)
			}
		case err != nil || source != want:
			rt.Fatalf("place(%q) = %q, %v; want %q", at, source, err, want)
		case !within(given.Source, source):
			rt.Fatalf("place(%q) = %q, which is not in %q", at, source, given.Source)
		}
	})
}
