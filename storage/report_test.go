package storage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

func tell(t *testing.T, l *storage.Ledger, c plan.Commit, name string, r storage.Told) {
	t.Helper()
	if err := l.KeepTold(t.Context(), c, name, r); err != nil {
		t.Fatal(err)
	}
}

func holdsTold(t *testing.T, s *storage.Store, c plan.Commit, name string, want storage.Told) {
	t.Helper()
	got, err := s.Told(t.Context(), c, name)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Told(%.7s, %q) (-want +got), %v:\n%s", c, name, err, diff)
	}
}

func commitNo(n int) plan.Commit { return plan.Commit(fmt.Sprintf("%040x", n)) }

// What a forge was told is there for the next process, and stays when builds are
// folded and tips change.
func TestTold(t *testing.T) {
	dir, commits := newRepo(t, 2)
	s := openStore(t, dir)
	holdsTold(t, s, commits[0], "velocity / default", storage.Told{}) // nothing was ever written
	l, release := acquireIn(t, dir, nil)
	first := storage.Told{External: "k3f9a2-1", ID: 1 << 40, State: storage.ToldQueued, Digest: "ab", At: start}
	last := storage.Told{External: "k3f9a2-2/s0t0", ID: 7, State: storage.ToldFinal, Digest: "cd", Annotations: 50, Done: true, At: start}
	tell(t, l, commits[0], "velocity / default", first)
	tell(t, l, commits[0], "velocity / default", last)
	tell(t, l, commits[0], "velocity / ../x\x00", first) // a name may be anything
	tell(t, l, commits[1], "velocity / default", storage.Told{})
	finish(t, l, begin(t, l, commits[0], 1))
	release()

	holdsTold(t, s, commits[0], "velocity / default", last)
	holdsTold(t, s, commits[0], "velocity / ../x\x00", first)
	holdsTold(t, s, commits[1], "velocity / default", storage.Told{})
	holdsTold(t, s, commits[1], "another", storage.Told{})
	fsck(t, dir)
	if found := check(t, dir); len(found) > 1 { // that pushes are not kept out
		t.Errorf("fsck finds %+v", found)
	}
	if _, err := s.Told(t.Context(), "../../x", ""); err == nil {
		t.Error("a path passed as a commit")
	}
	if err := l.KeepTold(t.Context(), commits[0], "x", first); err == nil {
		t.Error("a ledger that was released took a report")
	}
}

func TestToldRefused(t *testing.T) {
	dir, commits := newRepo(t, 1)
	l, _ := acquireIn(t, dir, nil)
	for name, err := range map[string]error{
		"state":  l.KeepTold(t.Context(), commits[0], "x", storage.Told{State: 7}),
		"commit": l.KeepTold(t.Context(), "main", "x", storage.Told{}),
		"size":   l.KeepTold(t.Context(), commits[0], strings.Repeat("x", 1<<17), storage.Told{}),
	} {
		if err == nil {
			t.Errorf("a bad %s was taken", name)
		}
	}
	tell(t, l, commits[0], "x", storage.Told{ID: 1}) // and the ledger goes on
}

func TestToldTogether(t *testing.T) {
	dir, _ := newRepo(t, 1)
	l, release := acquireIn(t, dir, nil)
	var group sync.WaitGroup
	for n := range 64 {
		group.Go(func() {
			for id := range int64(2) {
				if err := l.KeepTold(context.Background(), commitNo(n), "check", storage.Told{ID: id}); err != nil {
					t.Error(err)
				}
				if r, err := l.Told(context.Background(), commitNo(n), "check"); err != nil || r.ID != id {
					t.Errorf("told %d of %d, %v", r.ID, id, err)
				}
			}
		})
	}
	group.Wait()
	release()
	fsck(t, dir)
}

// What is over goes, and what a forge still has to be told stays for ever.
func TestToldIsPruned(t *testing.T) {
	dir, _ := newRepo(t, 1)
	now := start
	l, _ := acquireAt(t, dir, func() time.Time { return now })
	over := storage.Told{ID: 1, State: storage.ToldFinal, Done: true, At: start}
	recent := over
	recent.At = start.Add(time.Second)
	open := storage.Told{ID: 2, State: storage.ToldFinal, At: start}
	for name, r := range map[string]storage.Told{"over": over, "recent": recent, "open": open} {
		tell(t, l, commitNo(1), name, r)
	}
	now = start.Add(14*24*time.Hour + time.Second)
	var group sync.WaitGroup
	for n := range 256 * 16 { // for 16 reports one shelf of 256 is looked through
		group.Go(func() {
			c := plan.Commit(fmt.Sprintf("%02x%038x", n%256, 7+n))
			if err := l.KeepTold(context.Background(), c, "check", recent); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	holdsTold(t, l.Store, commitNo(1), "over", storage.Told{})
	holdsTold(t, l.Store, commitNo(1), "recent", recent)
	holdsTold(t, l.Store, commitNo(1), "open", open)
}

func TestToldOfPurged(t *testing.T) {
	dir, commits := newRepo(t, 1)
	ids := recorded(t, dir, commits[0], commits[0])
	l, release := acquireIn(t, dir, nil)
	of := func(external string) storage.Told { return storage.Told{External: external, ID: 1} }
	tell(t, l, commits[0], "build", of(ids[0].String()))
	tell(t, l, commits[0], "task", of(ids[0].String()+"/s0t0"))
	tell(t, l, commits[0], "other", of(ids[0].String()+"1"))
	release()
	if _, err := purge(t, dir, ids[0]); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	holdsTold(t, s, commits[0], "build", storage.Told{})
	holdsTold(t, s, commits[0], "task", storage.Told{})
	holdsTold(t, s, commits[0], "other", of(ids[0].String()+"1"))
	fsck(t, dir)
}

// A record that makes no sense is lost, one that a newer program wrote is not.
func TestToldUnreadable(t *testing.T) {
	h := newHurt(t)
	l, release := acquireIn(t, h.dir, nil)
	tell(t, l, h.commits[0], "x", storage.Told{ID: 1})
	release()
	path := h.git("ls-tree", "-r", "--name-only", h.ref("desk"), "reports/")
	damage := func(content string) {
		h.git("update-ref", h.ref("desk"), h.commit(h.ref("desk"), map[string]string{path: content}))
	}
	damage("?")
	holdsTold(t, openStore(t, h.dir), h.commits[0], "x", storage.Told{})
	damage(`{"version":2}`)
	var newer *storage.VersionError
	if _, err := openStore(t, h.dir).Told(t.Context(), h.commits[0], "x"); !errors.As(err, &newer) {
		t.Errorf("Told by a newer program = %v", err)
	}
	if got := codes(check(t, h.dir)); !cmp.Equal(got, []storage.Code{storage.NewerVersion}) {
		t.Errorf("found %v", got)
	}
}
