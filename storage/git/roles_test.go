package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roles are what the test binary can be started as, by name.
var roles = map[string]func(args []string) error{
	"count": countRole,
	"mortal": func(args []string) error {
		at, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return mortalRole(args[0], args[1], at)
	},
}

// role prepares a start of this binary in a role.
func role(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "VELOCITY_TEST_ROLE="+name)
	return cmd
}

// increment moves a counter ref on by one: the number is the commit's subject.
// It returns the new number.
func increment(ctx context.Context, r *Repository, ref string, more ...RefUpdate) (int, error) {
	for {
		old, err := r.Ref(ref)
		if err != nil && !errors.Is(err, ErrRefNotFound) {
			return 0, err
		}
		n := 0
		if !old.IsZero() {
			c, err := r.Commit(old)
			if err != nil {
				return 0, err
			}
			if n, err = strconv.Atoi(strings.TrimSpace(c.Message)); err != nil {
				return 0, err
			}
		}
		b := r.NewBatch()
		tree, err := b.Tree([]TreeEntry{{Name: "n", Mode: ModeFile, Hash: b.Blob(fmt.Append(nil, n+1))}})
		if err != nil {
			return 0, err
		}
		h := b.Commit(spec(tree, fmt.Sprintln(n+1), parentsOf(old)...))
		err = r.Write(ctx, b, append([]RefUpdate{{ref, old, h}}, more...))
		if !errors.Is(err, ErrRefMoved) || len(more) > 0 {
			return n + 1, err
		}
	}
}

// countRole increments the counter args[1] of repository args[0] args[2] times.
func countRole(args []string) error {
	ctx := context.Background()
	r, err := Open(ctx, args[0])
	if err != nil {
		return err
	}
	times, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	for range times {
		if _, err := increment(ctx, r, args[1]); err != nil {
			return err
		}
	}
	return nil
}

// TestConcurrentWriters: eight processes move two refs by compare and swap while
// git packs refs and collects garbage, and upkeep merges packs, all below them.
func TestConcurrentWriters(t *testing.T) {
	const writers, times = 8, 30
	r, dir := newBare(t)
	stop := make(chan struct{})
	disturbed := make(chan error, 2)
	disturb := func(step func() error) {
		for {
			select {
			case <-stop:
				disturbed <- nil
				return
			default:
				if err := step(); err != nil {
					disturbed <- err
					return
				}
			}
		}
	}
	go disturb(func() error {
		_, err := tryCLI(dir, "", "pack-refs", "--all", "--prune")
		if err != nil && strings.Contains(err.Error(), ".lock") {
			err = nil // a writer holds it: git gives up at once
		}
		return err
	})
	go disturb(func() error {
		_, err := tryCLI(dir, "", "-c", "gc.packRefs=false", "gc", "--quiet", "--prune=now")
		if err != nil && missesObject(err.Error()) {
			err = nil // it misses what is in a pack whose index it has deleted, see Reindex
		}
		return errors.Join(err, r.Upkeep(t.Context(), 6))
	})
	var running []*exec.Cmd
	for i := range writers {
		cmd := role(t, "count", dir, fmt.Sprintf("refs/velocity/s/counter/%d", i%2), fmt.Sprint(times))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a writer: %v", err)
		}
	}
	close(stop)
	for range 2 {
		if err := <-disturbed; err != nil {
			t.Error(err)
		}
	}
	for i := range 2 {
		ref := fmt.Sprintf("refs/velocity/s/counter/%d", i)
		if got, want := cli(t, dir, "log", "-1", "--format=%s", ref), fmt.Sprint(writers/2*times); got != want {
			t.Errorf("%s = %s, want %s: an update is lost", ref, got, want)
		}
		if got, want := cli(t, dir, "rev-list", "--count", ref), fmt.Sprint(writers/2*times); got != want {
			t.Errorf("%s has %s commits, want %s", ref, got, want)
		}
	}
	fsck(t, dir)
}

// missesObject tells whether this is what some step of git gc says of an object that
// it does not find.
func missesObject(said string) bool {
	for _, text := range []string{
		"bad object", "bad tree object", "missing blob object", "unable to parse", "unable to read", "unable to get object info", "Could not read",
	} {
		if strings.Contains(said, text) {
			return true
		}
	}
	return false
}

// mortalRole writes without end, reports what is acknowledged, and kills itself
// as kill -9 would just before the at-th operation on the disk.
func mortalRole(dir, ref string, at int) error {
	ctx := context.Background()
	r, err := Open(ctx, dir)
	if err != nil {
		return err
	}
	operations := 0
	r.disk.fault = func(string, string) error {
		if operations++; operations == at {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	for {
		// A ref beside the counter that comes and goes, so that deletions die too.
		other := RefUpdate{Name: ref + "-other"}
		if other.Old, err = r.Ref(other.Name); errors.Is(err, ErrRefNotFound) {
			other.New, err = r.Ref(ref)
		}
		if err != nil {
			return err
		}
		n, err := increment(ctx, r, ref, other)
		if err != nil {
			return err
		}
		if n%7 == 0 {
			if err := r.Upkeep(ctx, 5); err != nil {
				return err
			}
		}
		fmt.Println(n)
	}
}

// TestKilledWriters kills writers at random points of the protocol. Whatever was
// acknowledged is there, no ref is empty, git finds nothing wrong, and the next
// writer goes on.
func TestKilledWriters(t *testing.T) {
	const kills = 64
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r, dir := newBare(t)
	const ref = "refs/velocity/s/counter"
	move(t, r, ref, Zero, "0")
	acked, stale := 0, 0
	for i := range kills {
		cmd := role(t, "mortal", dir, ref, fmt.Sprint(1+random.IntN(250)))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if acked, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
		}
		err = cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("writer %d ended by itself: %v", i, err)
		}
		locks, err := r.StaleLocks([]string{"refs/velocity/"}, 0, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range locks {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		stale += len(locks)
		if _, broken, err := r.Refs("refs/"); len(broken) > 0 || err != nil {
			t.Fatalf("after kill %d: broken refs %v, %v", i, broken, err)
		}
		fsck(t, dir)
		now, err := strconv.Atoi(cli(t, dir, "log", "-1", "--format=%s", ref))
		if err != nil || now < acked || now > acked+1 {
			t.Fatalf("after kill %d the counter is %d (%v), %d was acknowledged", i, now, err, acked)
		}
		acked = now
		if i%10 == 0 {
			cli(t, dir, "pack-refs", "--all", "--prune")
		}
	}
	t.Logf("%d moves acknowledged, %d stale locks removed", acked, stale)
	if stale == 0 || acked < kills {
		t.Error("the kills came too early or too late to prove anything")
	}
}
