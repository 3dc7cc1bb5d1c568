package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// smallDisk is a folder on a disk of its own.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m")
	require.Have(t, "root", err)
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill leaves no byte free on the disk of dir, and returns what frees it again.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<16); len(block) > 0; {
		if _, err := filler.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return func() {
		if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
			t.Error(err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	disk := smallDisk(t)
	made, commits := newRepo(t, 1)
	dir := filepath.Join(disk, "repo.git")
	if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	l, _ := acquireIn(t, dir, nil)
	b := begin(t, l, commits[0], 1)
	before := refsOf(t, dir)
	free := fill(t, disk)

	moves, err := b.Do(build.Move{Kind: build.Assign, Task: "s0t0", At: start})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		done := make(chan error, 1)
		l.Append(build.Change{Build: b.Clone(), Moves: moves}, func(err error) { done <- err })
		if err := <-done; !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Append on a full disk: %v; want %v", err, syscall.ENOSPC)
		}
	}
	trigger := plan.Trigger{ID: "t1", Event: plan.EventPush, Commit: commits[0], Received: start}
	if err := l.Accept(context.Background(), []plan.Trigger{trigger}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Accept on a full disk: %v; want %v", err, syscall.ENOSPC)
	}
	if diff := cmp.Diff(before, refsOf(t, dir)); diff != "" {
		t.Errorf("refs changed (-before +after):\n%s", diff)
	}
	free()
	if err := l.Release(context.Background()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Release: %v; want what broke it", err)
	}
	l, _ = acquireIn(t, dir, nil)
	live, err := l.Live(t.Context())
	if err != nil || len(live) != 1 || live[0].Build.Seq != b.Seq-1 {
		t.Fatalf("Live() = %+v, %v; want the build as acknowledged", live, err)
	}
	finish(t, l, live[0].Build)
	fsck(t, dir)
}
