package storage_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
)

func owes(t *testing.T, s *storage.Store, want ...storage.Owed) {
	t.Helper()
	got, damaged, err := s.Owed(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || len(damaged) > 0 || err != nil {
		t.Errorf("Owed (-want +got), %v, %v:\n%s", damaged, err, diff)
	}
}

// What plugins are owed begins with the build, and is there for the next process
// until there is nothing more.
func TestOutbox(t *testing.T) {
	dir, commits := newRepo(t, 1)
	s := openStore(t, dir)
	owes(t, s) // nothing was ever written
	folded := make(chan build.ID, 1)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	b := begin(t, l, commits[0], 1)
	o := storage.Owed{Build: b.ID, Plugins: map[string]storage.Progress{"site/a": {}, "repository/0": {Done: 3, Lost: 1}}}
	done := make(chan error, 1)
	moves, err := b.Do(build.Move{Kind: build.Notice, Reason: "x", At: start})
	if err != nil {
		t.Fatal(err)
	}
	l.AppendOwing(build.Change{Build: b.Clone(), Moves: moves}, o, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	owes(t, s, o)
	finish(t, l, b)
	<-folded
	release()
	owes(t, s, o)
	fsck(t, dir)

	l, release = acquireIn(t, dir, nil)
	delete(o.Plugins, "site/a")
	for range 2 { // the second time there is nothing to change
		if err := l.KeepOwed(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		owes(t, s, o)
	}
	for range 2 {
		if err := l.KeepOwed(t.Context(), storage.Owed{Build: b.ID}); err != nil {
			t.Fatal(err)
		}
		owes(t, s)
	}
	release()
	if err := l.KeepOwed(t.Context(), o); err == nil {
		t.Error("a ledger that was released took something")
	}
	fsck(t, dir)
}

// A notice is added to a build that is in the archive, once, and its logs and notes
// stay as they are.
func TestAddNotice(t *testing.T) {
	dir, commits := newRepo(t, 1)
	folded := make(chan build.ID, 2)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	b, other := begin(t, l, commits[0], 2), begin(t, l, commits[0], 1)
	add := func(id build.ID, text string) error { return l.AddNotice(t.Context(), id, text, start) }
	if err := add(b.ID, "early"); !errors.Is(err, storage.ErrUnfinished) {
		t.Errorf("a notice of a build that is not over: %v", err)
	}
	finish(t, l, b)
	<-folded
	notes, logs := cli(t, dir, "rev-parse", "refs/notes/velocity"), cli(t, dir, "rev-parse", "refs/velocity/"+b.ID.Store+"/logs/00000")
	for _, text := range []string{"webhook: 500", "slack: 404", "webhook: 500"} {
		if err := add(b.ID, text); err != nil {
			t.Fatal(err)
		}
	}
	for name, id := range map[string]build.ID{"unknown": {Store: b.ID.Store, Number: 99}, "foreign": {Store: "zzzzzz", Number: 1}} {
		if err := add(id, "x"); !errors.Is(err, storage.ErrNoBuild) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, moves, err := l.Build(t.Context(), b.ID)
	if err != nil || strings.Join(got.Notices, ";") != "webhook: 500;slack: 404" || got.Seq != len(moves) {
		t.Errorf("notices %q of %d moves, %v", got.Notices, len(moves), err)
	}
	if again, err := build.Replay(moves); err != nil || again.State() != b.State() {
		t.Errorf("replay: %v, %v", again, err)
	}
	if cli(t, dir, "rev-parse", "refs/notes/velocity") != notes || cli(t, dir, "rev-parse", "refs/velocity/"+b.ID.Store+"/logs/00000") != logs {
		t.Error("notes or logs were changed")
	}
	finish(t, l, other) // the ledger goes on
	<-folded
	release()
	fsck(t, dir)
	if s := cli(t, dir, "for-each-ref", "refs/velocity/*/live"); s != "" {
		t.Errorf("live builds:\n%s", s)
	}
}

// A notice that was on its way when its build was folded arrives all the same.
func TestNoticeRacesFold(t *testing.T) {
	dir, commits := newRepo(t, 1)
	folded := make(chan build.ID, 1)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	b := begin(t, l, commits[0], 1)
	finish(t, l, b)
	<-folded
	done := make(chan error, 2)
	for _, text := range []string{"one", "two"} { // together or apart, as they may be
		moves, err := b.Do(build.Move{Kind: build.Notice, Reason: text, At: start})
		if err != nil {
			t.Fatal(err)
		}
		l.Append(build.Change{Build: b.Clone(), Moves: moves}, func(err error) { done <- err })
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err := l.Build(t.Context(), b.ID); err != nil || strings.Join(got.Notices, ";") != "one;two" {
		t.Errorf("%+v, %v", got, err)
	}
	release()
	fsck(t, dir)
}

func FuzzOutbox(f *testing.F) {
	f.Add([]byte(`{"version":1,"build":"k3f9a2-7","plugins":{"site/a":{"done":3,"lost":1},"b":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if again, ok := storage.ReprintOutbox(data); ok {
			if twice, ok := storage.ReprintOutbox(again); !ok || string(twice) != string(again) {
				t.Errorf("%s is read as %s", again, twice)
			}
		}
	})
}
