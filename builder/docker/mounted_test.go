package docker

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseMounts(t *testing.T) {
	got, err := parseMounts(strings.Join([]string{
		`76 50 0:39 / / rw,relatime master:2 - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/u\040x/diff,workdir=/w`,
		`92 78 0:47 / /dev/shm rw,nosuid shared:1 master:2 - tmpfs shm rw,size=65536k`,
		`93 76 254:0 /srv/a\134b /a\040place rw - ext4 /dev/vda rw,upperdir=/no`,
		``,
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []mounted{
		{root: "/", point: "/", kind: "overlay", upper: "/u x/diff"},
		{root: "/", point: "/dev/shm", kind: "tmpfs"},
		{root: `/srv/a\b`, point: "/a place", kind: "ext4"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mounted{})); diff != "" {
		t.Errorf("parseMounts (-want +got):\n%s", diff)
	}
	for _, bad := range []string{
		"76 50 0:39 / / rw", "76 50 0:39 / - ext4 /dev/vda rw", "76 50 0:39 / here rw - ext4 /dev/vda rw",
		"76 50 0:39 / /a/../b rw - ext4 /dev/vda rw", "\n",
	} {
		if got, err := parseMounts(bad); err == nil {
			t.Errorf("parseMounts(%q) = %v; want an error", bad, got)
		}
	}
}

// Of all mounts that contain a path the innermost counts, and of those the last.
func TestInnermost(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "ab", "a b"})
	path := rapid.Custom(func(rt *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(part, 0, 4).Draw(rt, "parts"), "/")
	})
	rapid.Check(t, func(rt *rapid.T) {
		var all []mounted
		for i, point := range rapid.SliceOf(path).Draw(rt, "points") {
			all = append(all, mounted{point: point, root: string(rune('A' + i))})
		}
		at := path.Draw(rt, "at")
		got, ok := innermost(all, at)
		want, found := mounted{}, false
		for up := at; !found; up = up[:max(strings.LastIndex(up, "/"), 0)] { // from the path towards the root
			for _, m := range all {
				if m.point == up || up == "" && m.point == "/" {
					want, found = m, true
				}
			}
			if up == "" {
				break
			}
		}
		if ok != found || got != want {
			rt.Fatalf("innermost(%v, %q) = %+v, %v; want %+v, %v", all, at, got, ok, want, found)
		}
	})
}
