package storage_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// A build with many tasks is not written anew with every move; whoever reads it
// while it lives, after a restart or in the archive, finds all of it.
func TestLargeBuildIsWrittenInParts(t *testing.T) {
	dir, commits := newRepo(t, 1)
	folded := make(chan build.ID, 1)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	b := begin(t, l, commits[0], 600)
	check := func(s *storage.Store) {
		t.Helper()
		got, moves, err := s.Build(t.Context(), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(b, got) { // with cmp that would be most of the test
			t.Fatalf("the build differs (-want +got):\n%s", cmp.Diff(b, got))
		}
		if len(moves) != b.Seq {
			t.Fatalf("it has %d moves, want %d", len(moves), b.Seq)
		}
	}
	parts, most := 0, 0
	for i := range 100 {
		moves, err := b.Do(build.Move{Kind: build.Assign, Task: plan.Key(0, i), Builder: "b1", At: start})
		if err != nil {
			t.Fatal(err)
		}
		ledgertest.Record(t, l, build.Change{Build: b.Clone(), Moves: moves})
		check(l.Store)
		if tree := cli(t, dir, "ls-tree", "-l", liveRef(b.ID)); strings.Contains(tree, "recent.jsonl") {
			parts++
			most = max(most, strings.Count(cli(t, dir, "show", liveRef(b.ID)+":recent.jsonl"), "\n")+1)
		}
		if i == 50 {
			release()
			l, release = acquireIn(t, dir, func(id build.ID) { folded <- id })
			check(l.Store)
		}
	}
	if parts < 50 || parts > 98 || most > 60 {
		t.Errorf("%d of 100 batches were written in parts, with up to %d recent moves", parts, most)
	}
	var moves []build.Move
	for i := range 600 {
		for _, on := range []build.Kind{build.Assign, build.Begin, build.Succeed} {
			if on == build.Assign && i < 100 {
				continue
			}
			made, err := b.Do(build.Move{Kind: on, Task: plan.Key(0, i), Builder: "b1", At: start})
			if err != nil {
				t.Fatal(err)
			}
			moves = append(moves, made...)
		}
	}
	ledgertest.Record(t, l, build.Change{Build: b.Clone(), Moves: moves})
	<-folded
	release()
	check(openStore(t, dir))
	if got := cli(t, dir, "ls-tree", "--name-only", "refs/velocity/"+b.ID.Store+"/archive/0000:00/0000000001"); got != "build.json\nevents.jsonl\nplan.json" {
		t.Errorf("the archive holds\n%s", got)
	}
	fsck(t, dir)
}
