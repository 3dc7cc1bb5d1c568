package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
)

// A lock whose file somebody removed or replaced keeps nobody out any more.
func TestHeld(t *testing.T) {
	dir, _ := newRepo(t, 1)
	l, _ := acquireIn(t, dir, func(build.ID) {})
	path := filepath.Join(dir, "velocity", "lock")
	if err := l.Held(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Held(); err == nil {
		t.Error("the file of the lock is gone, and the lock counts as held")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Held(); err == nil {
		t.Error("the file of the lock is another one, and the lock counts as held")
	}
}
