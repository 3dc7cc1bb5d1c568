package source

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The next process finds the workspace as it was left, and removes it.
func TestFreshReopens(t *testing.T) {
	dir, commit := repository(t)
	for name, want := range map[string]Request{
		"path": {Repository: dir}, "mirror": {Repository: "file://" + dir}, "own": {Repository: "file://" + dir, Own: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := fresh(t)
			want.Name, want.Commit = "k3f9a2-1-s0t0.1", commit
			first, _, err := f.Open(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			f.upkeep.Wait() // its process is over
			sh(t, first.Dir, "echo changed > file")
			next := &Fresh{Mirrors: f.Mirrors, Work: f.Work, Fetch: f.Fetch, Now: f.Now, Limit: 1}
			again, done, err := next.Reopen(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(first, again); diff != "" {
				t.Errorf("workspace (-first +again):\n%s", diff)
			}
			if err := next.evict(); err != nil {
				t.Fatal(err)
			}
			if got := sh(t, again.Dir, "cat file; git log --format=%s"); got != "changed\nfirst" {
				t.Errorf("the workspace holds %q", got)
			}
			if err := done(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Dir(again.Dir)); err == nil {
				t.Error("the workspace was left behind")
			}
		})
	}
}

func TestFreshReopensNothing(t *testing.T) {
	dir, commit := repository(t)
	f := fresh(t)
	want := Request{Name: "a", Repository: "file://" + dir, Commit: commit}
	if _, _, err := f.Reopen(t.Context(), want); err == nil {
		t.Error("a workspace that never was is found")
	}
	if _, _, err := f.Open(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	f.upkeep.Wait()
	next := &Fresh{Mirrors: t.TempDir(), Work: f.Work, Fetch: f.Fetch, Now: f.Now}
	if _, _, err := next.Reopen(t.Context(), want); !errors.Is(err, ErrGone) {
		t.Errorf("Reopen without the mirror = %v, want ErrGone", err)
	}
	for _, o := range f.origins {
		if o.repo != nil && o.uses != 1 {
			t.Errorf("%s is used %d times", o.name, o.uses)
		}
	}
}
