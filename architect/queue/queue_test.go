package queue

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

var needsEqual = gocmp.Comparer(func(a, b Needs) bool { return a.key == b.key })

func task(repo string, n int64, key string, since int) Task {
	return Task{Repository: repo, Build: build.ID{Store: "aaaaaa", Number: n}, Key: key, Since: time.Unix(int64(since), 0)}
}

func needs(labels map[string]string, executors ...string) Needs {
	return NewNeeds(labels, executors, false)
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
	if diff := gocmp.Diff(want, got, needsEqual); diff != "" {
		t.Errorf("Decide (-want +got):\n%s", diff)
	}
}

func TestDecideSpreadsOverBuilders(t *testing.T) {
	p := Picture{
		Ready:    []Task{task("r", 1, "s0t0", 1), task("r", 1, "s0t1", 1), task("r", 1, "s0t2", 1)},
		Builders: []Builder{{Name: "small", Capacity: 1}, {Name: "large", Capacity: 2}},
	}
	if diff := gocmp.Diff([]string{"large", "large", "small"}, builders(Decide(p))); diff != "" {
		t.Errorf("builders (-want +got):\n%s", diff)
	}
	p.Builders[0].Mirrors = []string{"r"}
	if diff := gocmp.Diff([]string{"small", "large", "large"}, builders(Decide(p))); diff != "" {
		t.Errorf("builders, one with a mirror (-want +got):\n%s", diff)
	}
}

func builders(picks []Pick) (names []string) {
	for _, pick := range picks {
		names = append(names, pick.Builder)
	}
	return names
}

// The picks are those that a plain reading of the rules makes.
func TestDecideIsAsTheRulesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := pictures(t)
		picks := Decide(p)
		if diff := gocmp.Diff(byTheRules(p), picks, needsEqual); diff != "" {
			t.Fatalf("Decide (-rules +got):\n%s", diff)
		}
		shuffled := p
		shuffled.Ready, shuffled.Builders = slices.Clone(p.Ready), slices.Clone(p.Builders)
		slices.Reverse(shuffled.Ready)
		slices.Reverse(shuffled.Builders)
		if diff := gocmp.Diff(picks, Decide(shuffled), needsEqual); diff != "" {
			t.Fatalf("the order of the lists counts (-straight +reversed):\n%s", diff)
		}
	})
}

// byTheRules decides as Decide's comment says, step by step.
func byTheRules(p Picture) (picks []Pick) {
	ready, field, running := slices.Clone(p.Ready), slices.Clone(p.Builders), map[string]int{}
	for r, n := range p.Running {
		running[r] = n
	}
	since := map[string]time.Time{}
	for _, t := range p.Ready {
		if s, has := since[t.Repository]; !has || t.Since.Before(s) {
			since[t.Repository] = t.Since
		}
	}
	weight := func(r string) int { return max(1, p.Shares[r].Weight) }
	fitting := func(t Task) (all []*Builder) {
		for i := range field {
			if b := &field[i]; b.free() > 0 && t.Needs.Fits(b.Offer) {
				all = append(all, b)
			}
		}
		return all
	}
	for {
		heads := map[string]Task{}
		for _, t := range ready {
			limit := p.Shares[t.Repository].Limit
			if len(fitting(t)) == 0 || limit > 0 && running[t.Repository] >= limit {
				continue
			}
			head, has := heads[t.Repository]
			if !has || (entry{due(&t), &t}).before(entry{due(&head), &head}) {
				heads[t.Repository] = t
			}
		}
		if len(heads) == 0 {
			return picks
		}
		var turn []Task
		for _, t := range heads {
			turn = append(turn, t)
		}
		pick := slices.MinFunc(turn, func(a, b Task) int {
			return cmp.Or(
				cmp.Compare((running[a.Repository]+1)*weight(b.Repository), (running[b.Repository]+1)*weight(a.Repository)),
				since[a.Repository].Compare(since[b.Repository]), cmp.Compare(a.Repository, b.Repository),
			)
		})
		best := slices.MinFunc(fitting(pick), func(a, b *Builder) int {
			far := func(b *Builder) int { // 0 with a mirror, else 1
				if slices.Contains(b.Mirrors, pick.Repository) {
					return 0
				}
				return 1
			}
			return cmp.Or(cmp.Compare(far(a), far(b)), cmp.Compare(b.free(), a.free()), cmp.Compare(a.Name, b.Name))
		})
		best.Busy++
		running[pick.Repository]++
		picks = append(picks, Pick{pick, best.Name})
		ready = slices.DeleteFunc(ready, func(t Task) bool { return t.Build == pick.Build && t.Key == pick.Key })
	}
}

// pictures draws moments of small sites with everything in them.
func pictures(t *rapid.T) Picture {
	p := Picture{Running: map[string]int{}, Shares: map[string]Share{}}
	repository := rapid.SampledFrom([]string{"a", "b", "c"})
	labels := rapid.SampledFrom([]map[string]string{nil, {"os": "linux"}, {"os": "mac"}, {"os": "linux", "gpu": "true"}})
	executors := rapid.SampledFrom([][]string{nil, {"docker"}, {"host"}, {"docker", "host"}})
	for i := range rapid.IntRange(0, 20).Draw(t, "tasks") {
		p.Ready = append(p.Ready, Task{
			Repository: repository.Draw(t, "repo"), Build: build.ID{Store: "aaaaaa", Number: int64(i/2 + 1)}, Key: fmt.Sprint("s0t", i),
			Since: time.Unix(int64(rapid.IntRange(0, 3).Draw(t, "since")*600), 0), Priority: rapid.IntRange(-2, 2).Draw(t, "priority"),
			Needs: NewNeeds(labels.Draw(t, "wanted"), executors.Draw(t, "needed"), rapid.IntRange(0, 5).Draw(t, "untrusted") == 0),
		})
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "builders") {
		b := Builder{
			Name: fmt.Sprint("b", i), Capacity: rapid.IntRange(0, 4).Draw(t, "capacity"), Draining: rapid.IntRange(0, 5).Draw(t, "draining") == 0,
			Offer: Offer{Labels: labels.Draw(t, "labels"), Executors: executors.Draw(t, "executors"), Untrusted: rapid.IntRange(0, 3).Draw(t, "pool") == 0},
		}
		b.Busy = rapid.IntRange(0, b.Capacity+1).Draw(t, "busy")
		if rapid.Bool().Draw(t, "mirrors") {
			b.Mirrors = []string{repository.Draw(t, "mirror")}
		}
		p.Builders = append(p.Builders, b)
	}
	for _, r := range []string{"a", "b", "c"} {
		p.Running[r] = rapid.IntRange(0, 3).Draw(t, "running")
		p.Shares[r] = Share{Weight: rapid.IntRange(0, 3).Draw(t, "weight"), Limit: rapid.IntRange(0, 5).Draw(t, "limit")}
	}
	return p
}

// Under a load that never ends, repositories get their weight within one task,
// and the least urgent task gets its turn.
func TestNobodyStarves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := map[string]Share{"a": {Weight: 1}, "b": {Weight: 2}, "c": {Weight: 4}}
		p := Picture{Running: map[string]int{}, Shares: weights, Builders: []Builder{{Name: "x", Capacity: 14}}}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		last := task("a", 1, "s0t0", 0)
		last.Priority = plan.MinPriority
		p.Ready = append(p.Ready, last)
		number := int64(1)
		var running []Pick
		for now := 0; ; now += 600 {
			for _, r := range []string{"a", "b", "c"} {
				for range 14 { // more than can go
					number++
					next := task(r, number, "s0t0", now)
					next.Priority = plan.MaxPriority
					p.Ready = append(p.Ready, next)
				}
			}
			p.Builders[0].Busy = len(running)
			picks := Decide(p)
			running = append(running, picks...)
			gone := map[build.ID]bool{}
			for _, pick := range picks {
				gone[pick.Task.Build] = true
				p.Running[pick.Task.Repository]++
			}
			p.Ready = slices.DeleteFunc(p.Ready, func(t Task) bool { return gone[t.Build] || t.Build != last.Build })
			for r, s := range weights {
				if got, want := p.Running[r], 2*s.Weight; got < want-1 || got > want+1 {
					t.Fatalf("%s has %d of 14 slots under way; its weight is %d of 7", r, got, s.Weight)
				}
			}
			if gone[last.Build] {
				return
			}
			if limit := int((plan.MaxPriority - plan.MinPriority) * PriorityStep / time.Second); now > limit+100*600 {
				t.Fatalf("the least urgent task still waits after %d s", now)
			}
			for range 1 + random.IntN(5) { // some end
				i := random.IntN(len(running))
				p.Running[running[i].Task.Repository]--
				running = slices.Delete(running, i, i+1)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	for _, free := range []int{0, 1, 1000} {
		b.Run(fmt.Sprintf("10000 tasks, 1000 builders, %d free", free), func(b *testing.B) {
			p := Picture{Running: map[string]int{}}
			kinds := []Needs{needs(nil), needs(map[string]string{"os": "linux"}, "docker"), needs(map[string]string{"gpu": "true"}), needs(nil, "host")}
			for i := range 10_000 {
				t := task(fmt.Sprint("repository", i%100), int64(i), "s0t0", i%997)
				t.Needs = kinds[i%len(kinds)]
				p.Ready = append(p.Ready, t)
			}
			for i := range 1000 {
				busy := 1
				if i < free {
					busy = 0
				}
				p.Builders = append(p.Builders, Builder{
					Name: fmt.Sprint("builder", i), Capacity: 1, Busy: busy, Mirrors: []string{fmt.Sprint("repository", i%100)},
					Offer: Offer{Labels: map[string]string{"os": "linux"}, Executors: []string{"docker", "host"}},
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				if got := len(Decide(p)); got != free {
					b.Fatalf("%d picks", got)
				}
			}
		})
	}
}
