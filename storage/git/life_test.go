package git_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

var born = time.Date(2026, 11, 22, 16, 5, 0, 0, time.UTC)

// run is git as a user has it.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// cradle makes a repository with one commit.
func cradle(t *testing.T) (dir string, commit plan.Commit) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "repo.git")
	run(t, ".", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", dir)
	commit = plan.Commit(run(t, dir, "commit-tree", "-m", "a", run(t, dir, "hash-object", "-t", "tree", "-w", "/dev/null")))
	run(t, dir, "update-ref", "refs/heads/main", string(commit))
	run(t, dir, "pack-refs", "--all") // so that deletions have a file to rewrite
	return dir, commit
}

// failing is a disk that fails one operation, or all from one on.
type failing struct {
	mu    sync.Mutex
	at    int
	on    bool // and all that follow
	err   error
	count int
}

func (f *failing) fault(op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.count == f.at || f.on && f.count > f.at {
		return &os.PathError{Op: op, Path: path, Err: f.err}
	}
	return nil
}

// told is what one life was told before the disk failed.
type told struct {
	accepted bool
	id       build.ID
	seq      int
	folded   bool
}

// spend is one whole life: a trigger, a number, a build's moves, its end, its fold
// with the note, and the orderly end of the ledger.
func spend(s *storage.Store, commit plan.Commit) (got told, err error) {
	ctx := context.Background()
	trigger := plan.Trigger{ID: "t1", Event: plan.EventPush, Commit: commit, Received: born}
	if err := s.Accept(ctx, []plan.Trigger{trigger}); err != nil {
		return got, err
	}
	got.accepted = true
	folded := false
	l, err := s.Acquire(ctx, "test", func(build.ID) { folded = true })
	if err != nil {
		return got, err
	}
	err = got.buildOnce(l, trigger)
	err = errors.Join(err, l.Release(ctx)) // waits for the writer
	got.folded = folded
	return got, err
}

func (g *told) buildOnce(l *storage.Ledger, trigger plan.Trigger) error {
	id, err := l.Next(context.Background())
	if err != nil {
		return err
	}
	req := ledgertest.Request(id, trigger.Commit, 1)
	req.Trigger = trigger
	b, moves := build.New(req, born)
	moves = append(moves, b.Open(born)...)
	settled := []string{trigger.ID}
	for _, on := range []build.Kind{build.Assign, build.Begin, build.Succeed} {
		done := make(chan error, 1)
		l.Append(build.Change{Build: b.Clone(), Moves: moves, Settled: settled}, func(err error) { done <- err })
		if err := <-done; err != nil {
			return err
		}
		g.id, g.seq, settled = id, b.Seq, nil
		if moves, err = b.Do(build.Move{Kind: on, Task: plan.Key(0, 0), At: born}); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	l.Append(build.Change{Build: b.Clone(), Moves: moves}, func(err error) { done <- err })
	if err := <-done; err != nil {
		return err
	}
	g.seq = b.Seq
	return nil
}

func openAt(t *testing.T, dir string, now func() time.Time) (*git.Repository, *storage.Store) {
	t.Helper()
	r, err := git.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return r, storage.Open(r, now)
}

// holds fails unless dir, with the fault gone, has what was told, and whole.
func (g *told) holds(t *testing.T, dir string) {
	t.Helper()
	_, s := openAt(t, dir, func() time.Time { return time.Now().Add(time.Minute) })
	l, err := s.Acquire(t.Context(), "test", nil)
	if err != nil {
		t.Fatalf("Acquire with the fault gone: %v", err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Fatalf("Release with the fault gone: %v", err)
	}
	pending, err := l.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	builds, err := l.Builds(t.Context(), storage.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pending) > 1 || len(builds) > 1 || g.accepted && len(pending)+len(builds) == 0 {
		t.Errorf("the trigger, accepted %t, is %d times in the inbox and has %d builds", g.accepted, len(pending), len(builds))
	}
	if g.seq > 0 && (len(builds) != 1 || builds[0].ID != g.id || builds[0].Seq < g.seq) {
		t.Errorf("move %d of %s was acknowledged; stored is %+v", g.seq, g.id, builds)
	}
	if id, err := s.ID(); err == nil && id != "" {
		if out := run(t, dir, "for-each-ref", "refs/velocity/"+id+"/quarantine"); out != "" {
			t.Errorf("quarantined: %s", out)
		}
	}
	if len(builds) == 1 && builds[0].State().Final() {
		if n := strings.Count(run(t, dir, "notes", "--ref=velocity", "show", "main"), builds[0].ID.Store); n != 1 {
			t.Errorf("the build has %d notes", n)
		}
	}
	if out := run(t, dir, "fsck", "--full", "--strict", "--no-dangling"); out != "" {
		t.Errorf("git fsck: %s", out)
	}
}

// TestWholeLifeOnFailingDisk fails each operation of a life in turn, alone and
// some with all that follow. A failure that is not told has done no harm; after one
// that is, nothing was promised that is not there.
func TestWholeLifeOnFailingDisk(t *testing.T) {
	every := 1
	if testing.Short() {
		every = 15
	}
	for name, disk := range map[string]*failing{"once": {err: syscall.EIO}, "from then on": {err: syscall.ENOSPC, on: true}} {
		every := every
		if disk.on {
			every += 2 // the first failure is what counts most
		}
		t.Run(name, func(t *testing.T) {
			refused := 0
			for n := 1; !t.Failed(); n += every {
				dir, commit := cradle(t)
				r, s := openAt(t, dir, time.Now)
				f := failing{at: n, on: disk.on, err: disk.err}
				r.FailDisk(f.fault)
				got, err := spend(s, commit)
				if f.count < n {
					if err != nil || !got.folded {
						t.Errorf("the life without a fault: %+v, %v", got, err)
					}
					break
				}
				if err != nil {
					refused++
					if !errors.Is(err, disk.err) || !strings.Contains(err.Error(), dir) {
						t.Errorf("operation %d failed, and the error says %v; want %v and a place", n, err, disk.err)
					}
				}
				got.holds(t, dir)
				if t.Failed() {
					t.Logf("operation %d failed: %v", n, err)
				}
			}
			t.Logf("%d lives ended", refused)
			if refused < 5 {
				t.Error("too little was refused to prove anything")
			}
		})
	}
}
