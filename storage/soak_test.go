package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

// soakVariable is how long the soak lasts, such as 10m, if somebody asks for it.
const soakVariable = "VELOCITY_SOAK"

func soakTime(t *testing.T) time.Duration {
	t.Helper()
	if text := os.Getenv(soakVariable); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s: %v", soakVariable, err)
		}
		return d
	}
	if testing.Short() {
		return 5 * time.Second
	}
	return time.Minute
}

// contendForEver is one of several that want to record. While another one does,
// it takes triggers in; when it has the lock, it builds some of them and lets
// the next one have it.
func contendForEver(c *child) error {
	s, err := openQuietly(c.dir)
	if err != nil {
		return err
	}
	for {
		pending, _, err := s.Pending(context.Background())
		if err != nil {
			return err
		}
		if len(pending) < 40 { // the soak shall end, and not with an inbox of thousands
			if _, err := c.accept(s); err != nil {
				return err
			}
		}
		l, err := c.open(s)
		var held *storage.HeldError
		if errors.As(err, &held) {
			<-time.After(rand.N(200 * time.Millisecond))
			continue
		}
		if err != nil {
			return err
		}
		if err := c.reign(l); err != nil {
			return errors.Join(err, l.Release(context.Background()))
		}
		if err := l.Release(context.Background()); err != nil {
			return err
		}
	}
}

// reign builds what is in the inbox, for some rounds.
func (c *child) reign(l *storage.Ledger) error {
	for range 1 + rand.IntN(4) {
		pending, err := l.Pending(context.Background())
		if err != nil {
			return err
		}
		pending = pending[:min(len(pending), 12)]
		if err := inThree(len(pending), func(i int) error { return c.build(l, pending[i]) }); err != nil {
			return err
		}
	}
	return nil
}

// A soak is a repository under everything at once.
type soak struct {
	*acked
	dir     string
	commits []plan.Commit

	group  sync.WaitGroup
	over   chan struct{}
	kills  int
	read   int      // builds
	upkeep int      // runs of git
	notes  []string // what the person wrote
}

func newSoak(t *testing.T) *soak {
	dir, commits := newRepo(t, 5)
	recorded(t, dir, commits[0])
	return &soak{acked: newAcked(), dir: dir, commits: commits, over: make(chan struct{})}
}

// every calls step until the soak is over, with a pause between two calls that is
// random and pause on average.
func (s *soak) every(t *testing.T, pause time.Duration, step func(n int) error) {
	s.group.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-s.over:
				return
			case <-time.After(rand.N(2*pause + 1)):
			}
			if err := step(n); err != nil {
				t.Error(err)
				return
			}
		}
	})
}

// rival keeps one contender alive, however often it is killed.
func (s *soak) rival(t *testing.T, life time.Duration) {
	s.every(t, time.Millisecond, func(int) error {
		child := childOf(t, "rival", s.dir, s.commits)
		out, err := child.StdoutPipe()
		if err != nil {
			return err
		}
		if err := child.Start(); err != nil {
			return err
		}
		kill := time.AfterFunc(rand.N(2*life), func() { _ = child.Process.Kill() })
		defer kill.Stop()
		ended := make(chan struct{})
		go func() {
			select {
			case <-s.over:
				_ = child.Process.Kill()
			case <-ended:
			}
		}()
		s.hearAll(t, out, func(int) {})
		close(ended)
		_ = child.Wait() // killed
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.errors) > 0 {
			return fmt.Errorf("a rival gave up: %s", s.errors)
		}
		s.kills++
		return nil
	})
}

// disturb does what the repository's owner and other programs do to it.
func (s *soak) disturb(t *testing.T, pause time.Duration) {
	steps := [][]string{
		{"repack", "--quiet", "--geometric=2", "-d"},
		{"pack-refs", "--all", "--prune"},
		{"repack", "--quiet", "--geometric=2", "-d"},
		{"gc", "--quiet"},
	}
	s.every(t, pause, func(n int) error {
		if err := s.foreignPack(n); err != nil {
			return err
		}
		step := steps[n%len(steps)]
		out, err := try(s.dir, step...)
		if err != nil {
			if gaveUp(out) {
				return nil // and has changed nothing: fsck would tell
			}
			return fmt.Errorf("git %s: %w: %s", step, err, out)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.upkeep++
		return nil
	})
}

// gaveUp tells what git may meet beside a writer and its own gc: a lock, a ref that
// moved on, a superseded move that was dropped after it was listed, and a folder of
// loose objects that was removed while it was empty. And it misses what is in a pack
// whose index its own gc has just deleted, until we have made that anew.
func gaveUp(out string) bool {
	for _, text := range []string{
		".lock", "gc is already running", "unable to create temporary file", "cannot lock ref", "unable to get object info", "unable to read",
		"bad object", "bad tree object", "missing blob object", "unable to parse", "Could not read", "does not point to a valid object", "Failed to read notes tree",
	} {
		if strings.Contains(out, text) {
			return true
		}
	}
	return false
}

// foreignPack adds a pack that is not ours, as a push does.
func (s *soak) foreignPack(n int) error {
	stream := fmt.Sprintf("commit refs/heads/pushed\ncommitter A <a@example.org> %d +0000\ndata 0\nM 100644 inline f\ndata <<E\n%d\nE\n\n", 1_700_000_000+n, n)
	if n > 0 {
		stream = strings.Replace(stream, "data 0\n", "data 0\nfrom refs/heads/pushed^0\n", 1)
	}
	out, err := tryWith(s.dir, strings.NewReader(stream), "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet")
	if err != nil {
		err = fmt.Errorf("git fast-import: %w: %s", err, out)
	}
	return err
}

// person adds notes as people do.
func (s *soak) person(t *testing.T, pause time.Duration) {
	s.every(t, pause, func(n int) error {
		text := fmt.Sprintf("person-%d-said", n)
		out, err := try(s.dir, "notes", "--ref=velocity", "append", "-m", text, string(s.commits[n%len(s.commits)]))
		if err != nil {
			if gaveUp(out) {
				return nil // and tries again later
			}
			return fmt.Errorf("git notes: %w: %s", err, out)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notes = append(s.notes, text)
		return nil
	})
}

// reader lists what a list of builds shows, with moves, logs and notes: with one
// store all the time, as a server does, and with a new one, as a command does.
func (s *soak) reader(t *testing.T, pause time.Duration) {
	old := openStore(t, s.dir)
	s.every(t, pause, func(n int) error {
		store := old
		if n%2 == 1 {
			var err error
			if store, err = openQuietly(s.dir); err != nil {
				return fmt.Errorf("a reader: %w", err)
			}
		}
		read, err := s.readAll(store)
		if err != nil {
			return fmt.Errorf("a reader: %w", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.read += read
		return nil
	})
}

// readAll reads the newest builds and all that belongs to them.
func (s *soak) readAll(store *storage.Store) (read int, err error) {
	ctx := context.Background()
	builds, err := store.Builds(ctx, storage.Query{})
	if err != nil {
		return 0, err
	}
	for _, b := range builds {
		if _, _, err := store.Build(ctx, b.ID); err != nil {
			return 0, err
		}
		if !b.State().Final() {
			continue
		}
		if _, _, err := store.Log(ctx, b.ID, "s0t0", 1); err != nil {
			return 0, err
		}
	}
	for _, c := range s.commits {
		if _, err := store.OfCommit(ctx, c); err != nil { // by its note
			return 0, err
		}
	}
	return len(builds), nil
}

// patience is how much longer a soak takes on a machine that is too busy for enough
// to happen in its time.
const patience = 2 * time.Minute

// finish waits until the time is over and enough has happened, and returns when
// everybody is dead.
func (s *soak) finish(t *testing.T, after time.Duration, enough func() bool) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	isEnough := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return enough()
	}
	for !t.Failed() && (time.Since(began) < after || !isEnough() && time.Since(began) < after+patience) {
		<-tick.C // a failure ends it early
	}
	close(s.over)
	s.group.Wait()
	if !t.Failed() && !enough() {
		t.Error("too little happened to prove anything")
	}
}

// later is a clock by which whatever a dead process left is old.
func later() time.Time { return time.Now().Add(time.Minute) }

// TestSoak: four processes that all want to record, and accept triggers when they
// may not, a person who writes notes, readers, and git's own upkeep, all at once
// and all processes of ours killed again and again.
func TestSoak(t *testing.T) {
	s := newSoak(t)
	for range 4 {
		s.rival(t, 2500*time.Millisecond)
	}
	s.disturb(t, 700*time.Millisecond)
	s.person(t, 500*time.Millisecond)
	s.reader(t, 50*time.Millisecond)
	s.finish(t, soakTime(t), func() bool {
		return s.kills >= 4 && len(s.folded) > 0 && s.read > 0 && s.upkeep > 0 && len(s.notes) > 0
	})
	if t.Failed() {
		return
	}
	indexed := copyRepo(t, s.dir) // git's gc may have deleted an index a moment ago
	for _, base := range packsWithoutIndex(t, indexed) {
		cli(t, indexed, "index-pack", base+".pack")
	}
	fsck(t, indexed)
	unnoted := s.check(t, s.dir, cleanedUp(t, s.dir, later))
	s.checkNotes(t, unnoted)
	noLocks(t, s.dir)
	t.Logf("%d kills, %d acknowledgements, %d builds (%d overwritten in the notes), %d triggers, %d notes by a person, %d builds read, git's upkeep %d times",
		s.kills, len(s.said), len(s.seqs), len(unnoted), len(s.triggers), len(s.notes), s.read, s.upkeep)
}

// TestReadersSurvive: nobody who reads meets an error, however fast packs of ours
// and of others come, are merged and go.
func TestReadersSurvive(t *testing.T) {
	while := 10 * time.Second
	if testing.Short() {
		while = 2 * time.Second
	}
	s := newSoak(t)
	s.rival(t, time.Hour)
	s.disturb(t, time.Millisecond)
	s.reader(t, 0)
	s.finish(t, while, func() bool { return s.read > 0 && s.upkeep > 0 })
	t.Logf("%d builds read, git's upkeep %d times", s.read, s.upkeep)
}

// checkNotes makes sure that we dropped nobody's line. A person's git may drop
// ours: "git notes" reads, and then replaces the ref whatever it is by then. And it
// begins a note anew whose text is in a pack without an index.
func (s *soak) checkNotes(t *testing.T, unnoted []string) {
	t.Helper()
	lines := strings.Split(cli(t, s.dir, "grep", "-h", "", storage.NotesRef, "--"), "\n")
	for _, text := range s.notes {
		n := len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l != text }))
		if n > 1 || n == 0 && s.droppedByUs(t, text) {
			t.Errorf("what a person noted is %d times there: %s", n, text)
		}
	}
	for _, line := range unnoted {
		if s.droppedByUs(t, line) {
			t.Errorf("we dropped the note of %s", line)
		}
	}
}

// droppedByUs tells who last changed how often a text is in the notes.
func (s *soak) droppedByUs(t *testing.T, text string) bool {
	t.Helper()
	return cli(t, s.dir, "log", "--max-count=1", "--format=%an", "-S"+text, storage.NotesRef) == "Velocity"
}

// noLocks fails if a lock file of git's protocol is left, but for that of a git gc
// that aborts ("BUG: missing parent") when what it missed is made findable under it.
func noLocks(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".lock" &&
			filepath.Dir(path) != filepath.Join(dir, "velocity") && filepath.Base(path) != "commit-graph.lock" {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
