package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// childRole tells the test binary which of the roles to play instead of running
// tests. Its arguments are a repository and commits of it.
const childRole = "VELOCITY_TEST_ROLE"

func TestMain(m *testing.M) {
	if name := os.Getenv(childRole); name != "" {
		c := &child{dir: os.Args[1]}
		for _, commit := range os.Args[2:] {
			c.commits = append(c.commits, plan.Commit(commit))
		}
		if err := roles[name](c); err != nil {
			c.say("error", err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var roles = map[string]func(*child) error{
	"recorder": recordForEver,
	"rival":    contendForEver,
	"life":     live,
}

// childOf prepares a start of this binary in a role.
func childOf(t *testing.T, role, dir string, commits []plan.Commit) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], dir)
	for _, c := range commits {
		cmd.Args = append(cmd.Args, string(c))
	}
	// The race detector lets a process wait for a second before it ends.
	cmd.Env = append(os.Environ(), childRole+"="+role, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// A child works in the repository of its parent and says what was acknowledged
// to it, a line each: "trigger ID", "number ID", "durable ID SEQ", "folded ID";
// and "error WHY" before it gives up.
type child struct {
	dir     string
	commits []plan.Commit
	mu      sync.Mutex
}

func (c *child) say(args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Println(args...)
}

// open takes the lock and goes on with what is live. A death between the moves of
// two refs leaves a trigger in the inbox whose build is there: that answers it.
func (c *child) open(s *storage.Store) (*storage.Ledger, error) {
	l, err := s.Acquire(context.Background(), "child", func(id build.ID) { c.say("folded", id) })
	if err != nil {
		return nil, err
	}
	live, err := l.Live(context.Background())
	if err != nil {
		return nil, err
	}
	return l, inThree(len(live), func(i int) error {
		b := live[i].Build
		if err := c.keep(l, build.Change{Settled: []string{b.Trigger.ID}}); err != nil {
			return err
		}
		return c.drive(l, b)
	})
}

// inThree does n things, three at a time, so that batches hold several changes.
func inThree(n int, do func(i int) error) error {
	var group sync.WaitGroup
	errs := make([]error, 3)
	for first := range errs {
		group.Go(func() {
			for i := first; i < n && errs[first] == nil; i += len(errs) {
				errs[first] = do(i)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// recordForEver goes on with what is live, and then begins and ends builds.
func recordForEver(c *child) error {
	s, err := openQuietly(c.dir)
	if err != nil {
		return err
	}
	l, err := c.open(s)
	if err != nil {
		return err
	}
	return inThree(1<<30, func(int) error {
		trigger, err := c.accept(s)
		if err != nil {
			return err
		}
		return c.build(l, trigger)
	})
}

// accept takes in a new trigger.
func (c *child) accept(s *storage.Store) (plan.Trigger, error) {
	trigger := plan.Trigger{
		ID: storage.NewTriggerID(time.Now(), rand.Uint64()), Event: plan.EventPush,
		Commit: c.commits[rand.IntN(len(c.commits))], Received: start,
	}
	if err := s.Accept(context.Background(), []plan.Trigger{trigger}); err != nil {
		return trigger, err
	}
	c.say("trigger", trigger.ID)
	return trigger, nil
}

// build begins a build for a trigger and ends it.
func (c *child) build(l *storage.Ledger, trigger plan.Trigger) error {
	id, err := l.Next(context.Background())
	if err != nil {
		return err
	}
	c.say("number", id)
	req := ledgertest.Request(id, trigger.Commit, 2)
	req.Trigger = trigger
	b, moves := build.New(req, start)
	moves = append(moves, b.Open(start)...)
	if err := c.keep(l, build.Change{Build: b.Clone(), Moves: moves, Settled: []string{trigger.ID}}); err != nil {
		return err
	}
	return c.drive(l, b)
}

// drive ends a build, a change for every move.
func (c *child) drive(l *storage.Ledger, b *build.Build) error {
	for i := range b.Stages[0].Tasks {
		for _, on := range []build.Kind{build.Assign, build.Begin, build.Succeed} {
			moves, err := b.Do(build.Move{Kind: on, Task: plan.Key(0, i), At: start})
			if err != nil || len(moves) == 0 {
				continue // done before the last death
			}
			change := build.Change{Build: b.Clone(), Moves: moves}
			if on == build.Succeed { // any file will do for a log
				change.Logs = []build.LogFile{{Task: plan.Key(0, i), Attempt: 1, Text: filepath.Join(c.dir, "config")}}
			}
			if err := c.keep(l, change); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *child) keep(l *storage.Ledger, change build.Change) error {
	done := make(chan error, 1)
	l.Append(change, func(err error) { done <- err })
	err := <-done
	if err == nil && change.Build != nil {
		c.say("durable", change.Build.ID, change.Build.Seq)
	}
	return err
}

// live is one whole life: all that is ever written, once.
func live(c *child) error {
	s, err := openQuietly(c.dir)
	if err != nil {
		return err
	}
	trigger, err := c.accept(s)
	if err != nil {
		return err
	}
	l, err := c.open(s)
	if err != nil {
		return err
	}
	if err := c.build(l, trigger); err != nil {
		return errors.Join(err, l.Release(context.Background()))
	}
	return l.Release(context.Background())
}
