package gitlab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// tell brings a check to what is wanted. Now and then the process is killed before
// it recorded what it was told.
func (r *teller) tell(c forge.Check) {
	for range 200 {
		told, err := r.gitlab.Post(r.t.Context(), c, r.told)
		var limit *forge.LimitError
		if errors.As(err, &limit) {
			r.lab.Clock.Advance(limit.Until.Sub(r.lab.Clock.Now()) + time.Second)
		}
		if r.chance.Float64() < 0.1 {
			r.gitlab = r.open(r.t)
			continue
		}
		if r.told = told; err == nil {
			return
		}
	}
	r.t.Errorf("%s in state %d was not shown", c.External, c.State)
}

// build shows the life of a build, and returns how it ended.
func (r *teller) build(name string) forge.Check {
	if r.chance.IntN(3) > 0 {
		r.tell(r.check(name))
	}
	if r.chance.IntN(4) > 0 {
		for range 1 + r.chance.IntN(2) {
			r.tell(r.begun(name))
		}
	}
	how := []forge.Conclusion{forge.Success, forge.Failure, forge.Cancelled}
	c := r.ended(name, how[r.chance.IntN(len(how))])
	r.tell(c)
	return c
}

func TestPostsConverge(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newStage(t, seed, func(o *forgetest.GitLabOptions) { o.Locked, o.Lenient = 0.1, seed%2 == 1 })
			s.faults.Set(storm)
			chance := rand.New(rand.NewPCG(seed, 1))
			for n := range 6 {
				s.commit = plan.Commit(s.there.Push(t, "main", forgetest.Change{Files: map[string]string{"n": fmt.Sprint(n)}}))
				r := &teller{stage: s, t: t, chance: chance}
				var want []forge.Check
				for i := range 1 + chance.IntN(3) {
					want = append(want, r.build(fmt.Sprintf("b%d-%d", n, i)))
				}
				s.verify(t, want)
			}
			if refused := s.lab.Transitions(); refused != nil {
				t.Errorf("refused: %q", refused)
			}
		})
	}
}

// verify compares what GitLab shows with what it was to show: one status a build,
// in one pipeline, with its end, and no state twice.
func (s *stage) verify(t *testing.T, want []forge.Check) {
	t.Helper()
	all := s.there.Statuses(string(s.commit))
	if len(all) != len(want) {
		t.Errorf("%d statuses for %d builds: %+v", len(all), len(want), all)
		return
	}
	for i, c := range want {
		got := all[i]
		if got.State != states[c.Conclusion] || got.Target != c.Page || got.Pipeline != all[0].Pipeline {
			t.Errorf("status of %s: %+v; want %s", c.External, got, c.Conclusion)
		}
		if once := slices.Compact(slices.Clone(got.History)); !cmp.Equal(once, got.History) {
			t.Errorf("status of %s: %q", c.External, got.History)
		}
	}
}

func TestNotesConverge(t *testing.T) {
	for seed := range uint64(3) {
		s := newStage(t, seed)
		_, m := s.fork(t)
		s.there.Mute()
		s.faults.Set(storm)
		r := &teller{stage: s, t: t, chance: rand.New(rand.NewPCG(seed, 2))}
		for i := range 3 {
			name := fmt.Sprint("b", i)
			r.tell(of(m, r.begun(name)))
			r.tell(of(m, r.ended(name, forge.Failure)))
			if notes := m.Notes(); len(notes) != 1 || !strings.Contains(notes[0].Body, "/builds/"+name) {
				t.Errorf("seed %d: %+v", seed, notes)
			}
		}
	}
}

func TestPostsOfManyChecksGoSideBySide(t *testing.T) {
	s := newStage(t, 9)
	var all sync.WaitGroup
	for i := range 8 {
		c := s.begun("b1")
		c.Name = fmt.Sprint("velocity / ", i)
		all.Go(func() {
			told, err := s.gitlab.Post(t.Context(), c, forge.Told{})
			c.State, c.Conclusion = forge.Final, forge.Success
			if err == nil {
				told, err = s.gitlab.Post(t.Context(), c, told)
			}
			if err != nil || !told.Done {
				t.Errorf("%s: %+v, %v", c.Name, told, err)
			}
		})
	}
	all.Wait()
	self := 0
	for _, c := range s.lab.Calls() {
		if strings.HasSuffix(c.Path, "/personal_access_tokens/self") {
			self++
		}
	}
	if got := s.there.Statuses(string(s.commit)); len(got) != 8 || self != 1 {
		t.Errorf("%d statuses, asked %d times who we are; want 8 and once", len(got), self)
	}
}

func TestALockedCommitIsTriedAgain(t *testing.T) {
	s := newStage(t, 1, func(o *forgetest.GitLabOptions) { o.Locked = 1 })
	_, err := s.gitlab.Post(t.Context(), s.begun("b1"), forge.Told{})
	for _, kind := range []error{forge.ErrForbidden, forge.ErrGone, forge.ErrInvalid} {
		if err == nil || errors.Is(err, kind) {
			t.Errorf("a lock is %v; want an error that passes", err)
		}
	}
}
