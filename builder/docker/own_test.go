package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// Ids of containers, as engines make them.
var (
	idA = strings.Repeat("a1", 32)
	idB = strings.Repeat("b2", 32)
	idC = strings.Repeat("c3", 32)
)

// A registrar answers in an engine's stead what containers there are.
type registrar struct {
	containers []container.InspectResponse
	asked      atomic.Int64
}

func (r *registrar) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.asked.Add(1)
	name := path.Base(path.Dir(req.URL.Path)) // of /v1.41/containers/ID/json
	if name == "containers" {
		var all []container.Summary
		for _, c := range r.containers {
			s := container.Summary{ID: c.ID}
			s.HostConfig.NetworkMode = string(c.HostConfig.NetworkMode)
			all = append(all, s)
		}
		_ = json.NewEncoder(w).Encode(all)
		return
	}
	i := slices.IndexFunc(r.containers, func(c container.InspectResponse) bool { return c.ID == name })
	if i < 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(r.containers[i])
}

// made is a running container that the engine tells of.
func made(id, upper, network string, mounts ...container.MountPoint) container.InspectResponse {
	c := container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{
			ID: id, State: &container.State{Running: true}, HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(network)},
		},
		Mounts: mounts,
	}
	if upper != "" {
		c.GraphDriver.Data = map[string]string{"UpperDir": upper}
	}
	return c
}

func volumeAt(name, at string) container.MountPoint {
	return container.MountPoint{
		Type: mount.TypeVolume, Name: name, Source: "/engine/volumes/" + name + "/_data", Destination: at, Driver: "local", RW: true,
	}
}

// contained is an executor of a process for which the kernel has these words, and
// whose engine is r.
func contained(t *testing.T, r *registrar, groups string, lines ...string) *Executor {
	t.Helper()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	api, err := client.NewClientWithOpts(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	proc := t.TempDir()
	err = errors.Join(
		os.Mkdir(filepath.Join(proc, "self"), 0o777),
		os.WriteFile(filepath.Join(proc, "self", "mountinfo"), []byte(strings.Join(lines, "\n")+"\n"), 0o666),
		os.WriteFile(filepath.Join(proc, "self", "cgroup"), []byte(groups), 0o666),
	)
	if err != nil {
		t.Fatal(err)
	}
	return &Executor{api: api, proc: proc}
}

// line is a mount as the kernel tells of it.
func line(root, point, kind string, options ...string) string {
	return fmt.Sprintf("1 1 0:1 %s %s rw - %s none rw,%s", root, strings.ReplaceAll(point, " ", `\040`), kind, strings.Join(options, ","))
}

// upperOf is the root of a container with this folder for what is written.
func upperOf(dir string) string { return line("/", "/", "overlay", "upperdir="+dir) }

func hostsOf(id string) string {
	return line("/engine/containers/"+id+"/hosts", "/etc/hosts", "ext4")
}

// The container that a process runs in is found by what only that one can have in
// common with it.
func TestOwnContainer(t *testing.T) {
	folder, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	onVolume := func(name string) string { return line("/engine/volumes/"+name+"/_data", folder, "ext4") }
	stopped := made(idA, "/up/a", "bridge")
	stopped.State.Running = false
	for name, c := range map[string]struct {
		groups string
		lines  []string
		known  []container.InspectResponse
		own    string // the name of the volume that is found with it; "none" is a container without one
		fails  string
	}{
		"on a machine":                {groups: "0::/user.slice\n", lines: []string{upperOf("/x")}, known: []container.InspectResponse{made(idA, "/x", "bridge")}},
		"another engine's":            {groups: "0::/\n", lines: []string{upperOf("/up/a"), hostsOf(idA)}},
		"by its files":                {lines: []string{upperOf("/up/a"), hostsOf(idA), onVolume("v")}, known: []container.InspectResponse{made(idA, "/up/a", "bridge", volumeAt("v", folder))}, own: "v"},
		"by its control group":        {groups: "0::/system.slice/docker-" + idA + ".scope\n", lines: []string{upperOf("/up/a"), onVolume("v")}, known: []container.InspectResponse{made(idA, "/up/a", "bridge", volumeAt("v", folder))}, own: "v"},
		"in a container of that":      {groups: "1:cpu:/docker/" + idA + "/docker/" + idB + "\n", lines: []string{upperOf("/up/b")}, known: []container.InspectResponse{made(idA, "/up/a", "bridge")}},
		"mounted through a link":      {lines: []string{upperOf("/up/a"), hostsOf(idA), onVolume("v")}, known: []container.InspectResponse{made(idA, "/up/a", "bridge", volumeAt("v", link))}, own: "v"},
		"short name of the layer":     {lines: []string{upperOf("a/diff"), hostsOf(idA)}, known: []container.InspectResponse{made(idA, "/up/a/diff", "bridge")}, own: "none"},
		"no layer is told":            {lines: []string{line("/", "/", "btrfs"), hostsOf(idA), onVolume("v")}, known: []container.InspectResponse{made(idA, "", "bridge", volumeAt("v", folder))}, own: "v"},
		"network of another":          {lines: []string{upperOf("/up/b"), hostsOf(idA), onVolume("w")}, known: []container.InspectResponse{made(idA, "/up/a", "bridge", volumeAt("v", folder)), made(idB, "/up/b", "container:"+idA, volumeAt("w", folder)), made(idC, "/up/c", "container:"+idA)}, own: "w"},
		"network of another, no more": {lines: []string{line("/", "/", "btrfs"), hostsOf(idA), onVolume("w")}, known: []container.InspectResponse{made(idA, "", "bridge", volumeAt("v", folder)), made(idB, "", "container:"+idA, volumeAt("w", folder))}, own: "w"},
		"one of two":                  {lines: []string{line("/", "/", "btrfs"), hostsOf(idA), onVolume("v")}, known: []container.InspectResponse{made(idA, "", "bridge", volumeAt("v", folder)), made(idB, "", "container:"+idA, volumeAt("v", folder))}, fails: "2 of its containers could be that"},
		"another layer":               {lines: []string{upperOf("/up/b"), hostsOf(idA)}, known: []container.InspectResponse{made(idA, "/up/a", "bridge")}, fails: "0 of its containers could be that"},
		"a mount is not seen":         {lines: []string{upperOf("/up/a"), hostsOf(idA)}, known: []container.InspectResponse{made(idA, "/up/a", "bridge", volumeAt("v", folder))}, fails: "0 of its containers"},
		"another volume is seen":      {lines: []string{upperOf("/up/a"), hostsOf(idA), onVolume("w")}, known: []container.InspectResponse{made(idA, "/up/a", "bridge", volumeAt("v", folder))}, fails: "0 of its containers"},
		"it does not run":             {lines: []string{upperOf("/up/a"), hostsOf(idA)}, known: []container.InspectResponse{stopped}, fails: "0 of its containers"},
		"the kernel says nothing":     {lines: []string{"words"}, fails: "find out what this process runs in"},
	} {
		t.Run(name, func(t *testing.T) {
			engine := &registrar{containers: c.known}
			e := contained(t, engine, c.groups, c.lines...)
			got, err := e.around(t.Context())
			switch {
			case c.fails != "":
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("around = %+v, %v; want %q", got, err, c.fails)
				}
				return
			case err != nil:
				t.Fatal(err)
			case c.own == "":
				if got != nil {
					t.Errorf("around = %+v; want none", got)
				}
			case got == nil:
				t.Error("around found none")
			case c.own != "none" && got.given[folder].Name != c.own:
				t.Errorf("given %+v; want the volume %s at %s", got.given, c.own, folder)
			}
			asked := engine.asked.Load()
			if _, err := e.around(t.Context()); err != nil || engine.asked.Load() != asked {
				t.Errorf("around asked again: %d requests after %d, %v", engine.asked.Load(), asked, err)
			}
			if name == "on a machine" && asked != 0 {
				t.Errorf("a process on a machine asked %d times", asked)
			}
		})
	}
}

// An engine that does not answer is the machinery's failure, and is asked again.
func TestOwnContainerWithoutEngine(t *testing.T) {
	e := contained(t, &registrar{}, "", upperOf("/x"), hostsOf(idA))
	there := e.api
	gone, err := client.NewClientWithOpts(client.WithHost("unix://" + filepath.Join(t.TempDir(), "none.sock")))
	if err != nil {
		t.Fatal(err)
	}
	e.api = gone
	if err := e.Shows(t.Context(), "/"); !errors.Is(err, executor.ErrEngine) {
		t.Errorf("Shows without an engine: %v; want ErrEngine", err)
	}
	e.api = there
	if err := e.Shows(t.Context(), "/"); err != nil {
		t.Errorf("Shows with another engine's container: %v", err)
	}
}
