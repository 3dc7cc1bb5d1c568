package liaison

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
)

// A sim is a rig in which, by a seed, people work, deliveries are lost, late, repeated
// and overtake each other, and the forge, the inbox and the server fail.
type sim struct {
	*rig
	stop    func()
	commits int
	late    sync.WaitGroup // deliveries that are under way
	door    sync.Mutex     // held by one that arrives, and while the server restarts

	mu  sync.Mutex
	rng *rand.Rand
}

func (s *sim) n(below int) int { s.mu.Lock(); defer s.mu.Unlock(); return s.rng.IntN(below) }

// trouble is what the forge does now and then: it takes its time, is down, or takes
// no more requests.
func (s *sim) trouble(ctx context.Context) error {
	timer := time.NewTimer(time.Duration(s.n(1500)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	switch s.n(20) {
	case 0, 1:
		return errDown
	case 2:
		return &forge.LimitError{Until: time.Now().Add(time.Duration(s.n(90)) * time.Second), Err: errDown}
	}
	return nil
}

// commit is a new one.
func (s *sim) commit() plan.Commit { s.commits++; return sha(1000 + s.commits) }

// deliver sends an event, or loses it, or sends it twice, now or later.
func (s *sim) deliver(e hooks.Event) {
	if s.n(5) == 0 {
		return
	}
	for range 1 + s.n(2) {
		wait := time.Duration(s.n(2)*s.n(90)) * time.Second
		s.late.Go(func() {
			pass(wait)
			s.door.Lock()
			defer s.door.Unlock()
			s.send(e)
		})
	}
}

// people has somebody do something in a repository.
func (s *sim) people(repo int64) {
	e := hooks.Event{Repository: repo, Sender: octo, App: ours}
	s.hub.change(repo, func(m *model) {
		switch s.n(8) {
		case 0, 1, 2:
			e.Kind, e.Ref, e.Commit = hooks.BranchPushed, fmt.Sprintf("refs/heads/b%d", s.n(3)), s.commit()
			m.refs[e.Ref] = e.Commit
		case 3:
			e.Kind, e.Ref = hooks.RefDeleted, fmt.Sprintf("refs/heads/b%d", s.n(3))
			delete(m.refs, e.Ref)
		case 4:
			e.Kind, e.Ref, e.Commit = hooks.TagPushed, fmt.Sprintf("refs/tags/v%d", s.n(3)), s.commit()
			m.refs[e.Ref] = e.Commit
		default:
			s.pulls(m, &e)
		}
	})
	s.deliver(e)
}

// author tells by its number who opened a pull request, and whether from a fork.
func author(number int64) (by hooks.Person, fork bool) {
	return []hooks.Person{octo, stranger, stranger, robot}[number%4], number%4 == 2
}

// pulls has somebody do something with a pull request.
func (s *sim) pulls(m *model, e *hooks.Event) {
	e.Pull = int64(1 + s.n(6))
	p := m.pulls[e.Pull]
	by, fork := author(e.Pull)
	e.Sender = by
	switch {
	case p == nil:
		p = &forge.Pull{Number: e.Pull, Head: s.commit(), HeadRef: fmt.Sprintf("refs/heads/p%d", e.Pull), BaseRef: main, Fork: fork, Author: user(by), Open: true}
		m.pulls[e.Pull], e.Kind = p, hooks.PullOpened
	case !p.Open:
		p.Open, e.Kind = true, hooks.PullOpened
	case s.n(3) == 0:
		p.Open, e.Kind = false, hooks.PullClosed
	case s.n(3) == 0:
		p.BaseRef, e.Kind = []string{main, "refs/heads/old"}[s.n(2)], hooks.PullRetargeted
	default:
		p.Head, e.Kind = s.commit(), hooks.PullPushed
	}
	p.Modified = time.Now()
}

// nuisance is what strangers and broken senders do. None of it may have an effect.
func (s *sim) nuisance(repo int64) {
	e := hooks.Event{Repository: repo, Sender: stranger, App: ours, External: fmt.Sprintf("k3f9a2-%d", 1+s.n(9)), Commit: sha(1000 + s.n(20)), Pull: int64(1 + s.n(6))}
	e.Kind = []hooks.Kind{hooks.ActionAsked, hooks.Commanded, hooks.CheckRerun, hooks.SuiteRerun, hooks.RefsChanged, hooks.PullClosed, hooks.RepositoryDeleted}[s.n(7)]
	e.Action = []string{hooks.AskApprove, hooks.AskCancel, hooks.AskRerun}[s.n(3)]
	if s.n(5) == 0 {
		e.Note = "breaks the decoder"
	}
	s.deliver(e)
}

// simulate runs a seed, heals everything, and returns after one more comparison.
func simulate(t *testing.T, seed uint64) *sim {
	s := &sim{rig: newRig(t), rng: rand.New(rand.NewPCG(seed, 0))}
	for id := range int64(3) {
		s.hub.repo(id+1, fmt.Sprintf("octo/r%d", id+1)).refs[main] = sha(int(id) + 1)
	}
	s.stop = s.start()
	synctest.Wait() // they are served; nothing has failed yet
	s.hub.mu.Lock()
	s.hub.fails = s.trouble
	s.hub.mu.Unlock()
	if seed%2 == 0 {
		s.inbox.mu.Lock()
		s.inbox.fails = func() error {
			if s.n(25) == 0 {
				return errDown
			}
			return nil
		}
		s.inbox.mu.Unlock()
	}
	for range 80 {
		repo := int64(1 + s.n(3))
		switch s.n(20) {
		case 0:
			s.restart()
		case 1:
			s.hub.change(repo, func(m *model) { m.lagging = !m.lagging })
		case 2, 3, 4:
			s.nuisance(repo)
		default:
			s.people(repo)
		}
		pass(time.Duration(s.n(20)) * time.Second)
	}
	s.late.Wait()
	s.heal()
	return s
}

func (s *sim) restart() {
	s.stop()
	s.door.Lock()
	defer s.door.Unlock()
	s.stop = s.start()
}

func (s *sim) heal() {
	s.hub.mu.Lock()
	s.hub.fails = func(context.Context) error { return nil }
	for _, m := range s.hub.repos {
		m.lagging = false
	}
	s.hub.mu.Unlock()
	s.inbox.mu.Lock()
	s.inbox.fails = func() error { return nil }
	s.inbox.mu.Unlock()
	pass(2*s.Every + 2*time.Minute) // one comparison may be under way, and limits may last
	synctest.Wait()
}

// TestConverges: whatever was lost or failed, once nothing fails any more and all was
// compared, each tip and head was built exactly once, what is closed is not built, and
// nothing of strangers was let through.
func TestConverges(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := simulate(t, uint64(seed))
				s.stop()
				s.inbox.check(t)
				for _, key := range s.inbox.order {
					if s.inbox.ended[key] == "" {
						t.Errorf("%s waits still: %s", key, s.inbox.kept[key].Body)
					}
				}
				for id, m := range s.hub.repos {
					s.built(t, m, s.houses.all[id])
				}
				if seed%2 == 1 { // an inbox that fails has deliveries come later
					s.ordered(t)
				}
			})
		})
	}
}

// built holds the builds of a repository to what the forge has.
func (s *sim) built(t *testing.T, m *model, h *house) {
	wanted := map[string]bool{} // what there is to build
	for ref, c := range m.refs {
		if ref != main { // it was there before us
			wanted[fmt.Sprint("push ", ref, c)] = true
		}
	}
	for _, p := range m.pulls {
		if p.Open {
			wanted[fmt.Sprint("pull_request ", m.is.Kind.Ref(p.Number), p.Head, p.BaseRef)] = true
		}
	}
	for _, b := range h.all {
		of := b.Trigger
		if number, pull := m.is.Kind.PullOf(of.Ref); pull {
			by, fork := author(number)
			if b.Held != (by != octo) || of.Fork() != fork || b.Approval != nil {
				t.Errorf("%s: held %v, approval %v; its author is %s", shown(of), b.Held, b.Approval, by.Login)
			}
		}
		if b.Void() {
			continue
		}
		thing := fmt.Sprint(of.Event, " ", of.Ref, of.Commit, of.Target)
		is, last := wanted[thing]
		switch {
		case last && !is:
			t.Errorf("%s: built twice: %s", m.is.Name, shown(of))
		case !last && !b.State().Final() && gone(m, of):
			t.Errorf("%s: built, and gone: %s", m.is.Name, shown(of))
		case last:
			wanted[thing] = false
		}
	}
	for _, thing := range slices.Sorted(maps.Keys(wanted)) {
		if wanted[thing] {
			t.Errorf("%s: not built: %s", m.is.Name, thing)
		}
	}
}

// gone reports whether nobody needs a build any more. Older builds of a branch that
// is there go on: only pipelines say whether a newer one ends them.
func gone(m *model, of plan.Trigger) bool {
	return of.Event == plan.EventPullRequest || m.refs[of.Ref] == ""
}

// ordered holds the first tries of a repository's deliveries to the order in which
// they were received.
func (s *sim) ordered(t *testing.T) {
	last := map[string]int{}
	for _, key := range s.inbox.first {
		body := string(s.inbox.kept[key].Body)
		repo := body[strings.Index(body, `"Repository"`):][:14]
		at := slices.Index(s.inbox.order, key)
		if at < last[repo] {
			t.Errorf("%s was tried after one that came later", key)
		}
		last[repo] = at
	}
}

// TestPermutedPushes: of many pushes to one ref the deliveries come in any order, and
// many never. Nothing else tells of them.
func TestPermutedPushes(t *testing.T) {
	for seed := range uint64(5) {
		bubble(t, func(r *rig) {
			rng := rand.New(rand.NewPCG(seed, 0))
			const pushes = 200
			order := rng.Perm(pushes)
			sent := slices.DeleteFunc(slices.Clone(order), func(int) bool { return rng.IntN(5) == 0 })
			for n := range pushes {
				r.push(main, 100+n)
				if n < len(sent) {
					r.send(hooks.Event{Kind: hooks.BranchPushed, Repository: world, Ref: main, Commit: sha(100 + sent[n]), Sender: octo})
				}
				pass(time.Duration(rng.IntN(300)) * time.Millisecond)
			}
			pass(r.Every + r.Every/10)
			synctest.Wait()
			final := r.house().which(func(b *build.Build) bool { return b.Trigger.Commit == sha(100+pushes-1) })
			if len(final) != 1 || r.house().all[len(r.house().all)-1].ID != final[0].ID {
				t.Errorf("seed %d: the final tip has %d builds; want one, the last", seed, len(final))
			}
			if diff := r.house().tips[main]; diff != sha(100+pushes-1) {
				t.Errorf("seed %d: %s counts as the tip", seed, diff)
			}
		})
	}
}
