package github

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// storm is what a bad day is like.
var storm = forgetest.Odds{Refused: 0.1, Unanswered: 0.15, Cut: 0.15, Limited: 0.05}

// A teller posts as the reporter does: one check after the other, again and again
// while it fails, and with what was recorded last after the process was killed.
type teller struct {
	*stage
	t      *testing.T
	chance *rand.Rand
	told   forge.Told
}

// post brings a check to what is wanted. Now and then the process is killed before
// it recorded what it was told.
func (r *teller) post(c forge.Check) {
	for try := 0; ; try++ {
		if try == 200 {
			r.t.Errorf("%s in state %d was not shown in %d tries", c.External, c.State, try)
			return
		}
		told, err := r.app.Post(r.t.Context(), c, r.told)
		var limit *forge.LimitError
		if errors.As(err, &limit) {
			r.advance(limit.Until.Sub(r.hub.Clock.Now()) + time.Second)
		}
		if r.chance.Float64() < 0.1 {
			r.app = r.open(r.t)
			continue
		}
		if r.told = told; err == nil {
			r.told.Digest = "the reporter's own" // which stands there in its record
			return
		}
	}
}

func TestPostsConverge(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newStage(t, seed)
			s.faults.Set(storm)
			chance := rand.New(rand.NewPCG(seed, 1))
			for n := range 4 {
				s.commit = s.push(t)
				r := &teller{stage: s, t: t, chance: chance}
				var want []forge.Check
				for i := range 1 + chance.IntN(2) {
					want = append(want, r.build(fmt.Sprintf("b%d-%d", n, i), chance.IntN(160)))
				}
				s.verify(t, want)
			}
		})
	}
}

// build shows the life of a build.
func (r *teller) build(name string, annotations int) forge.Check {
	c := r.check(name)
	r.post(c)
	c.State, c.Started = forge.Running, r.hub.Clock.Now()
	for i := range r.chance.IntN(3) {
		c.Summary = fmt.Sprintf("step %d", i)
		r.post(c)
	}
	c = r.done(name, annotations)
	r.post(c)
	return c
}

// verify compares what GitHub shows with what it was to show: one run a build, with
// its end and each annotation once, and that no run ever went back.
func (s *stage) verify(t *testing.T, want []forge.Check) {
	t.Helper()
	runs := s.runs()
	if len(runs) != len(want) {
		t.Errorf("%d runs for %d builds: %+v", len(runs), len(want), runs)
		return
	}
	for i, c := range want {
		if !complete(runs[i], c) || runs[i].ExternalID != c.External || runs[i].Summary != c.Summary {
			t.Errorf("run of %s: %s %s %q with %d annotations; want %d", c.External, runs[i].Status, runs[i].Conclusion,
				runs[i].ExternalID, len(runs[i].Annotations), len(c.Annotations))
		}
		rank := map[string]int{"queued": 0, "in_progress": 1, "completed": 2}
		last := 0
		for _, h := range s.hub.History(runs[i].ID) {
			if rank[h.Status] < last {
				t.Errorf("run of %s went back to %s", c.External, h.Status)
			}
			last = rank[h.Status]
		}
	}
}

func TestPostsOfManyChecksGoSideBySide(t *testing.T) {
	s := newStage(t, 9)
	var all sync.WaitGroup
	for i := range 8 {
		c := s.done(fmt.Sprint("b", i), 70)
		c.Name = fmt.Sprint("velocity / ", i)
		all.Go(func() {
			told, err := s.app.Post(t.Context(), c, forge.Told{})
			if err != nil || !told.Done {
				t.Errorf("%s: %+v, %v", c.Name, told, err)
			}
		})
	}
	all.Wait()
	tokens := 0
	for _, r := range s.runs() {
		if r.Status != "completed" || len(r.Annotations) != 70 {
			t.Errorf("%s: %s with %d annotations", r.Name, r.Status, len(r.Annotations))
		}
	}
	for _, c := range s.hub.Calls() {
		if c.Method == "POST" && c.Path == fmt.Sprintf("/app/installations/%d/access_tokens", s.in.ID()) {
			tokens++
		}
	}
	if len(s.runs()) != 8 || tokens != 1 {
		t.Errorf("%d runs with %d tokens; want 8 with 1", len(s.runs()), tokens)
	}
}

func TestPostEndsWithItsContext(t *testing.T) {
	s := newStage(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.app.Post(ctx, s.check("b1"), forge.Told{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Post = %v", err)
	}
	bad := s.check("b1")
	bad.Repository.Name = "acme/../../x"
	bad.Commit = plan.Commit("1")
	if _, err := s.app.Post(t.Context(), bad, forge.Told{}); !errors.Is(err, forge.ErrInvalid) {
		t.Errorf("Post to no repository = %v", err)
	}
}
