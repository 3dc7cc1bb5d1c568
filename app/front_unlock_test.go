package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/roster"
)

func TestUnlock(t *testing.T) {
	repo, err := git.MakeBare(t.Context(), filepath.Join(t.TempDir(), "architect.git"))
	if err != nil {
		t.Fatal(err)
	}
	r := roster.Open(repo, time.Now)
	if _, _, err := r.Issue(t.Context(), roster.Token{Name: "ann", Rights: roster.Read}); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(repo.CommonDir(), roster.Ref+".lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unlock(repo, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lock); err != nil {
		t.Errorf("the lock of somebody who may be writing is gone: %v", err)
	}
	if err := unlock(repo, time.Now().Add(2*writtenWithin)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lock); !os.IsNotExist(err) {
		t.Errorf("the stale lock: %v", err)
	}
}
