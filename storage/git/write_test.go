package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const testRef = "refs/velocity/s/live/1"

func TestWriteMovesRefs(t *testing.T) {
	r, dir := newBare(t)
	a := move(t, r, testRef, Zero, "a")
	cli(t, dir, "pack-refs", "--all", "--prune")
	b := move(t, r, testRef, a, "b")
	if got := cli(t, dir, "log", "--format=%an <%ae> %ct %s", testRef); got != "Velocity <velocity@localhost> 1700000000 b\nVelocity <velocity@localhost> 1700000000 a" {
		t.Errorf("git log = %q", got)
	}
	before := Races()
	for _, bad := range []RefUpdate{
		{testRef, a, b}, {testRef, Zero, a}, {testRef, a, Zero}, {"refs/velocity/s/none", a, b}, {"refs/velocity/s/none", a, Zero},
	} {
		err := r.Write(t.Context(), nil, []RefUpdate{{"refs/velocity/s/other", Zero, b}, bad})
		var moved *RefMovedError
		if !errors.Is(err, ErrRefMoved) || !errors.As(err, &moved) || moved.Name != bad.Name || moved.Want != bad.Old {
			t.Errorf("Write(%v) = %v, want *RefMovedError", bad, err)
		}
		if _, err := r.Ref("refs/velocity/s/other"); !errors.Is(err, ErrRefNotFound) {
			t.Errorf("after a failed Write the other ref: %v", err)
		}
	}
	if got := Races() - before; got < 5 { // other tests may lose some, too
		t.Errorf("%d lost races were counted; want these 5", got)
	}
	// Checking and moving at once; a deletion of a ref both loose and packed.
	err := r.Write(t.Context(), nil, []RefUpdate{{testRef, b, Zero}, {"refs/velocity/s/other", Zero, b}, {"refs/velocity/s/none", Zero, Zero}})
	if err != nil {
		t.Fatal(err)
	}
	if got := cli(t, dir, "for-each-ref", "--format=%(refname)"); got != "refs/velocity/s/other" {
		t.Errorf("refs = %q, want the other one only", got)
	}
	noLocks(t, dir)
	fsck(t, dir)
}

func noLocks(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".lock" && filepath.Dir(path) != filepath.Join(dir, ownFolder) {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteRefusesBadInput(t *testing.T) {
	r, dir := newBare(t)
	h := move(t, r, testRef, Zero, "a")
	cli(t, dir, "symbolic-ref", "refs/velocity/s/sym", testRef)
	if err := os.WriteFile(filepath.Join(dir, "refs/velocity/s/empty"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	missing := hash(t, strings.Repeat("12", 20))
	b := r.NewBatch()
	orphan := b.Commit(spec(missing, "tree is missing"))
	cases := []struct {
		say     string
		b       *Batch
		updates []RefUpdate
	}{
		{"is not a ref name", nil, []RefUpdate{{"refs/velocity/--upload-pack=x", Zero, h}}},
		{"twice", nil, []RefUpdate{{testRef, h, h}, {testRef, h, Zero}}},
		{"symbolic", nil, []RefUpdate{{"refs/velocity/s/sym", h, h}}},
		{"broken", nil, []RefUpdate{{"refs/velocity/s/empty", Zero, h}}},
		{"object not found", nil, []RefUpdate{{"refs/velocity/s/new", Zero, missing}}},
		{"object not found", b, []RefUpdate{{"refs/velocity/s/new", Zero, orphan}}},
		{"beside", nil, []RefUpdate{{testRef + "/below", Zero, h}}},
		{"beside", nil, []RefUpdate{{"refs/velocity/s/live", Zero, h}}},
	}
	for range 2 { // with loose refs, then with packed ones
		for _, c := range cases {
			if err := r.Write(t.Context(), c.b, c.updates); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("Write(%v) = %v, want an error with %q", c.updates, err, c.say)
			}
		}
		if err := os.Remove(filepath.Join(dir, "refs/velocity/s/empty")); err == nil {
			cli(t, dir, "pack-refs", "--all", "--prune")
		}
		cases = append(cases[:3:3], cases[4:]...)
	}
	noLocks(t, dir)
}

func TestWriteOverEmptyFolders(t *testing.T) {
	r, _ := newBare(t)
	h := move(t, r, "refs/velocity/s/a/b/c", Zero, "a")
	if err := r.Write(t.Context(), nil, []RefUpdate{{"refs/velocity/s/a/b/c", h, Zero}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), nil, []RefUpdate{{"refs/velocity/s/a", Zero, h}}); err != nil {
		t.Errorf("a ref in the place of an empty folder: %v", err)
	}
}

func TestWriteWaitsForLocks(t *testing.T) {
	for _, name := range []string{testRef + ".lock", "packed-refs.lock"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			r, dir := newBare(t)
			h := move(t, r, testRef, Zero, "a")
			lock := filepath.Join(dir, name)
			if err := os.WriteFile(lock, nil, 0o666); err != nil {
				t.Fatal(err)
			}
			waited := time.Duration(0)
			r.sleep = func(_ context.Context, d time.Duration) error { waited += d; return nil }
			remove := []RefUpdate{{testRef, h, Zero}}
			err := r.Write(t.Context(), nil, remove)
			var held *heldError
			if !errors.As(err, &held) || held.Path != lock || !strings.Contains(err.Error(), lock) || waited < lockPatience {
				t.Errorf("Write beside %s = %v after %v, want *heldError after %v", lock, err, waited, lockPatience)
			}
			if got, err := r.Ref(testRef); got != h || err != nil {
				t.Errorf("the ref = %s, %v; want it unchanged", got, err)
			}
			r.sleep = func(context.Context, time.Duration) error { return os.Remove(lock) }
			if err := r.Write(t.Context(), nil, remove); err != nil {
				t.Errorf("Write once the lock is gone: %v", err)
			}
		})
	}
}

func TestWriteCanceled(t *testing.T) {
	r, dir := newBare(t)
	h := move(t, r, testRef, Zero, "a")
	if err := os.WriteFile(filepath.Join(dir, testRef+".lock"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Write(ctx, nil, []RefUpdate{{testRef, h, Zero}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v, want canceled", err)
	}
}

// TestWriteFailingDisk fails the disk at every operation of a write in turn. No
// ref may have another value than its old or its new one, the repository stays
// sound, and the same write succeeds afterwards.
func TestWriteFailingDisk(t *testing.T) {
	failures := 0
	for n := 0; ; n++ {
		r, dir := newBare(t)
		old := move(t, r, testRef, Zero, "a")
		gone := move(t, r, "refs/velocity/s/gone", Zero, "g")
		cli(t, dir, "pack-refs", "--all", "--prune")
		b := r.NewBatch()
		next := oneFile(t, b, "b", old)
		updates := []RefUpdate{
			{testRef, old, next},
			{"refs/velocity/s/gone", gone, Zero},
			{"refs/velocity/new/folder/1", Zero, next},
		}
		count := 0
		r.disk.fault = func(op, path string) error {
			if count++; count == n+1 {
				return &os.PathError{Op: op, Path: path, Err: syscall.ENOSPC}
			}
			return nil
		}
		err := r.Write(t.Context(), b, updates)
		r.disk.fault = nil
		if count <= n { // no operation left to fail
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		failures++
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Write with operation %d failing = %v, want ENOSPC", n, err)
		}
		for i, update := range updates {
			got, err := r.Ref(update.Name)
			if err != nil && !errors.Is(err, ErrRefNotFound) {
				t.Fatalf("operation %d: %v", n, err)
			}
			if got != update.Old && got != update.New {
				t.Errorf("operation %d: %s = %s", n, update.Name, got)
			}
			updates[i].Old = got
		}
		fsck(t, dir)
		noLocks(t, dir)
		leftovers, _ := filepath.Glob(filepath.Join(dir, ownFolder, packTemp))
		if len(leftovers) > 0 {
			t.Errorf("operation %d leaves %v", n, leftovers)
		}
		if err := r.Write(t.Context(), b, updates); err != nil {
			t.Fatalf("retry after operation %d failed: %v", n, err)
		}
		if c, err := open(t, dir).Commit(next); err != nil || c.Message != "b\n" {
			t.Fatalf("after the retry: %+v, %v", c, err)
		}
	}
	if failures < 20 {
		t.Errorf("only %d operations could fail", failures)
	}
}

// TestWriteTornPack lets the disk take only the beginning of a pack, of every
// length. go-git would name some of these a pack.
func TestWriteTornPack(t *testing.T) {
	r, dir := newBare(t)
	b := r.NewBatch()
	h := oneFile(t, b, "a")
	updates := []RefUpdate{{testRef, Zero, h}}
	twin, _ := newBare(t)
	if err := twin.Write(t.Context(), b, updates); err != nil {
		t.Fatal(err)
	}
	own, err := twin.ownPacks()
	if err != nil || len(own) != 1 {
		t.Fatalf("%d packs, %v", len(own), err)
	}
	content, err := os.ReadFile(own[0].path + ".pack")
	if err != nil {
		t.Fatal(err)
	}
	for cut := range content {
		failed := false
		r.disk.fault = func(op, path string) error {
			if failed || op != "write" {
				return nil
			}
			failed = true
			return errors.Join(os.WriteFile(path, content[:cut], 0o600), syscall.ENOSPC)
		}
		if err := r.Write(t.Context(), b, updates); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Write of %d bytes = %v, want ENOSPC", cut, err)
		}
		entries, err := os.ReadDir(filepath.Join(dir, "objects/pack"))
		if err != nil || len(entries) != 0 {
			t.Fatalf("after %d bytes the packs are %v, %v", cut, entries, err)
		}
	}
	r.disk.fault = nil
	if err := r.Write(t.Context(), b, updates); err != nil {
		t.Fatal(err)
	}
	fsck(t, dir)
}

// TestWriteOrder checks from the trace of operations that content is durable
// before its name, and a ref after all it leads to.
func TestWriteOrder(t *testing.T) {
	r, dir := newBare(t)
	var trace []string
	r.disk.fault = func(op, path string) error {
		rel, _ := filepath.Rel(dir, path)
		trace = append(trace, op+" "+kindOf(rel))
		return nil
	}
	b := r.NewBatch()
	h := oneFile(t, b, "a")
	if err := r.Write(t.Context(), b, []RefUpdate{{testRef, Zero, h}}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(trace, "\n")
	at := 0
	for _, step := range []string{
		"sync pack temp", "sync pack temp", "sync keep", // content of pack, index, .keep
		"rename pack", "rename idx", "syncdir packs",
		"sync ref", "rename ref", "syncdir refs",
	} {
		i := strings.Index(text[at:], step)
		if i < 0 {
			t.Fatalf("no %q after what must come before it; trace:\n%s", step, text)
		}
		at += i + len(step)
	}
}

func kindOf(path string) string {
	switch {
	case path == "objects/pack":
		return "packs"
	case filepath.Dir(path) == ownFolder:
		return "pack temp"
	case strings.HasPrefix(path, "objects/pack/"):
		return strings.TrimPrefix(filepath.Ext(path), ".")
	case path == filepath.Dir(testRef):
		return "refs"
	case strings.HasPrefix(path, testRef):
		return "ref"
	}
	return fmt.Sprintf("other %s", path)
}

func TestWriteSameObjectsAgain(t *testing.T) {
	r, dir := newBare(t)
	b := r.NewBatch()
	h := oneFile(t, b, "a")
	for _, name := range []string{"refs/velocity/a/1", "refs/velocity/a/2"} {
		if err := r.Write(t.Context(), b, []RefUpdate{{name, Zero, h}}); err != nil {
			t.Fatal(err)
		}
	}
	if own, err := r.ownPacks(); len(own) != 1 || err != nil {
		t.Errorf("%d packs of ours, %v; want 1", len(own), err)
	}
	fsck(t, dir)
}
