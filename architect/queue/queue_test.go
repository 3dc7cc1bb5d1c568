package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
)

func task(repo string, n int64, key string, since int) Task {
	return Task{Repository: repo, Build: build.ID{Store: "aaaaaa", Number: n}, Key: key, Since: time.Unix(int64(since), 0)}
}

func TestDecideTakesTurnsBetweenRepositories(t *testing.T) {
	p := Picture{
		Ready: []Task{
			task("busy", 1, "s0t0", 1), task("busy", 1, "s0t1", 1), task("busy", 2, "s0t0", 2),
			task("quiet", 1, "s0t0", 9),
		},
		Builders: []Builder{{Name: "b", Capacity: 3, Busy: 1}},
		Running:  map[string]int{"busy": 1},
	}
	got := Decide(p)
	want := []Pick{{task("quiet", 1, "s0t0", 9), "b"}, {task("busy", 1, "s0t0", 1), "b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Decide (-want +got):\n%s", diff)
	}
}

func TestDecideSpreadsOverBuilders(t *testing.T) {
	p := Picture{
		Ready:    []Task{task("r", 1, "s0t0", 1), task("r", 1, "s0t1", 1), task("r", 1, "s0t2", 1)},
		Builders: []Builder{{Name: "small", Capacity: 1}, {Name: "large", Capacity: 2}},
	}
	var got []string
	for _, pick := range Decide(p) {
		got = append(got, pick.Builder)
	}
	if diff := cmp.Diff([]string{"large", "small", "large"}, got); diff != "" {
		t.Errorf("builders (-want +got):\n%s", diff)
	}
}

// No slot stays free while a task waits, none is used twice, no task is given
// out twice, and the same picture gives the same picks.
func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Picture
		for i := range rapid.IntRange(0, 20).Draw(t, "tasks") {
			repo := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "repo")
			p.Ready = append(p.Ready, task(repo, int64(i+1), "s0t0", rapid.IntRange(0, 3).Draw(t, "since")))
		}
		free := 0
		for i := range rapid.IntRange(0, 4).Draw(t, "builders") {
			b := Builder{Name: fmt.Sprint("b", i), Capacity: rapid.IntRange(0, 4).Draw(t, "cap")}
			b.Busy = rapid.IntRange(0, b.Capacity).Draw(t, "busy")
			free += b.Capacity - b.Busy
			p.Builders = append(p.Builders, b)
		}
		picks := Decide(p)
		if want := min(free, len(p.Ready)); len(picks) != want {
			t.Fatalf("%d picks for %d tasks and %d free slots", len(picks), len(p.Ready), free)
		}
		seen := map[build.ID]bool{}
		used := map[string]int{}
		for _, pick := range picks {
			if seen[pick.Task.Build] {
				t.Fatalf("%v is picked twice", pick.Task)
			}
			seen[pick.Task.Build] = true
			used[pick.Builder]++
		}
		for _, b := range p.Builders {
			if b.Busy+used[b.Name] > b.Capacity {
				t.Fatalf("%s has %d+%d of %d slots in use", b.Name, b.Busy, used[b.Name], b.Capacity)
			}
		}
		if diff := cmp.Diff(picks, Decide(p)); diff != "" {
			t.Fatalf("second Decide differs:\n%s", diff)
		}
	})
}

func TestWhy(t *testing.T) {
	for want, builders := range map[string][]Builder{
		"no builder is connected":         nil,
		"all 1 builders take no new work": {{Name: "b"}},
		"all slots are busy: 3 of 3":      {{Name: "b", Capacity: 2, Busy: 2}, {Name: "c", Capacity: 1, Busy: 1}},
	} {
		if got := Why(builders); got != want {
			t.Errorf("Why(%v) = %q; want %q", builders, got, want)
		}
	}
}
