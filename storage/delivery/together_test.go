package delivery

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/velocity-ci/velocity/storage/git"
)

// packsIn counts them: one is one durable write.
func packsIn(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// What comes while a batch is written is one batch, and in it nobody pays for
// another's mistake.
func TestBatches(t *testing.T) {
	r := newRig(t)
	r.turn <- struct{}{} // a batch is being written
	errs := make(chan error, 65)
	for n := range 64 {
		go func() { errs <- r.Accept(context.Background(), r.some(n%32)) }()
	}
	go func() {
		if err := r.Done(context.Background(), key(99), "", ""); !errors.Is(err, ErrNone) {
			errs <- err
			return
		}
		errs <- nil
	}()
	queued := func() int { r.mu.Lock(); defer r.mu.Unlock(); return len(r.queue) }
	for queued() < 65 { // nothing tells
		runtime.Gosched()
	}
	<-r.turn
	for range 65 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := packsIn(t, r.dir); n != 1 {
		t.Errorf("%d writes; want 1", n)
	}
	if keys, err := r.Waiting(t.Context()); len(keys) != 32 || err != nil {
		t.Errorf("%d deliveries wait, %v; want 32", len(keys), err)
	}
}

// A batch is bounded by the memory that it takes, and never empty.
func TestBatchBounds(t *testing.T) {
	r := newRig(t)
	own := &change{done: make(chan struct{})}
	for _, size := range []int{batchBytes + 1, 1, batchBytes - 1, 1} {
		r.queue = append(r.queue, &change{size: size})
	}
	for i, want := range []int{1, 2, 1, 0} {
		if got := len(r.take(own)); got != want {
			t.Errorf("batch %d has %d changes; want %d", i, got, want)
		}
	}
	for range batchChanges + 1 {
		r.queue = append(r.queue, &change{})
	}
	if got := len(r.take(own)); got != batchChanges {
		t.Errorf("%d changes in a batch; want %d", got, batchChanges)
	}
	close(own.done)
	if got := len(r.take(own)); got != 0 {
		t.Errorf("a caller that is answered wrote %d changes of others", got)
	}
}

func TestImpatience(t *testing.T) {
	r := newRig(t)
	r.turn <- struct{}{}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Accept(ctx, r.some(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Accept = %v; want that it was canceled", err)
	}
	if len(r.queue) > 0 {
		t.Error("what nobody waits for any more is kept in memory")
	}
	<-r.turn
	r.accept(t, r.some(1))
}

// Several processes work on one repository, which is what a server that takes over
// from another comes to.
func TestProcessesTogether(t *testing.T) {
	r := newRig(t)
	inboxes := []*Inbox{r.again(t), r.again(t), r.again(t)}
	var group sync.WaitGroup
	for i, b := range inboxes {
		for n := range 4 {
			group.Go(func() {
				ctx := context.Background()
				own, shared := 100+10*i+n, n
				for _, k := range []int{own, shared} {
					if err := b.Accept(ctx, r.some(k)); err != nil {
						t.Error(err)
					}
				}
				if _, err := b.Begin(ctx, key(own)); err != nil {
					t.Error(err)
				}
				if _, err := b.Waiting(ctx); err != nil {
					t.Error(err)
				}
				if err := b.Done(ctx, key(own), "build", ""); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	keys, err := r.Waiting(t.Context())
	slices.Sort(keys)
	if want := 4; len(keys) != want || len(slices.Compact(keys)) != want || err != nil {
		t.Errorf("%d wait, %v; want %d", len(keys), err, want)
	}
	if n := len(r.log(t)); n != 16 {
		t.Errorf("%d in the log; want 16", n)
	}
}

// A server lives for years: packs and what nothing needs must go while it works.
func TestUpkeep(t *testing.T) {
	r := newRig(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	for n := range packs + 1 {
		r.accept(t, r.some(n))
	}
	before := packsIn(t, r.dir)
	merged := make(chan struct{})
	go func() {
		defer close(ended)
		r.merge(ctx)
		close(merged)
		r.Run(ctx)
	}()
	for n := range 8 { // beside it
		if err := r.Done(t.Context(), key(n), "", ""); err != nil {
			t.Fatal(err)
		}
	}
	<-merged
	stop()
	<-ended
	if after := packsIn(t, r.dir); after > before/2 {
		t.Errorf("%d packs became %d", before, after)
	}
	if keys, err := r.again(t).Waiting(t.Context()); len(keys) != packs+1-8 || err != nil {
		t.Errorf("%d wait, %v", len(keys), err)
	}
}

// Somebody wrote what nobody can read.
func TestDamage(t *testing.T) {
	for name, spoiled := range map[string][]byte{
		"no JSON": []byte("\x00\xff"), "another's": []byte(`{"version":1,"key":"github-7","received":"2026-11-22T12:00:00Z","state":"waiting"}`),
		"no body": nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.accept(t, r.some(1), r.some(2), r.some(3))
			for n := 1; n <= 2; n++ {
				r.spoil(t, n, spoiled)
			}
			if _, err := r.Read(t.Context(), key(1)); err == nil {
				t.Error("it was read")
			}
			if more, err := r.Begin(t.Context(), key(2)); err != nil || more != (name == "no body") {
				t.Errorf("Begin = %v, %v", more, err)
			}
			if name == "no body" {
				if _, err := r.Read(t.Context(), key(2)); err == nil {
					t.Error("it was read")
				}
			}
			r.waits(t, key(3))
			if got, err := r.Read(t.Context(), key(3)); err != nil || got.Key != key(3) {
				t.Errorf("the next one: %+v, %v", got, err)
			}
			for _, e := range r.log(t) {
				if e.Key != key(3) && (e.State != Failed || e.Note == "") {
					t.Errorf("log: %+v", e)
				}
			}
		})
	}
}

// What a newer program wrote is left to it.
func TestNewerRecord(t *testing.T) {
	r := newRig(t)
	r.accept(t, r.some(1))
	r.spoil(t, 1, []byte(`{"version":2}`))
	var newer *VersionError
	if _, err := r.Read(t.Context(), key(1)); !errors.As(err, &newer) {
		t.Errorf("Read = %v", err)
	}
	if _, err := r.Begin(t.Context(), key(1)); !errors.As(err, &newer) {
		t.Errorf("Begin = %v", err)
	}
	r.waits(t, key(1))
}

// spoil replaces the record of one that waits, or with nil drops its body.
func (r *rig) spoil(t *testing.T, n int, record []byte) {
	t.Helper()
	s, err := r.sheet()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.find(key(n))
	if err != nil {
		t.Fatal(err)
	}
	if record == nil {
		s.drop(p.body())
	} else {
		s.put(p.record(), record)
	}
	if err := s.write(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}

// An object that is not there must not end up in a folder that upkeep walks.
func TestLostBody(t *testing.T) {
	r := newRig(t)
	r.accept(t, r.some(1))
	s, err := r.sheet()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.find(key(1))
	if err != nil {
		t.Fatal(err)
	}
	s.link(p.body(), git.Hash{1})
	if err := s.write(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(t.Context(), key(1)); err == nil {
		t.Error("it was read")
	}
	r.waits(t)
	head, err := r.repo.Ref(Ref)
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.repo.Walk(head, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Hash == (git.Hash{1}) {
			t.Errorf("%s leads to nothing", f.Name)
		}
	}
}

// A lock whose owner was killed stops every write until the next server starts.
func TestRecover(t *testing.T) {
	r := newRig(t)
	r.accept(t, r.some(1))
	lock := filepath.Join(r.dir, Ref+".lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Recover(); err != nil {
		t.Fatal(err)
	}
	r.accept(t, r.some(2))
	r.waits(t, key(1), key(2))
}

// What a delivery will need is begun when it is new, and before it is there.
func TestAhead(t *testing.T) {
	r := newRig(t)
	other, calls := r.again(t), 0
	for range 2 {
		err := r.AcceptAhead(t.Context(), r.some(1), func() {
			calls++
			if keys, err := other.Waiting(t.Context()); len(keys) > 0 || err != nil {
				t.Errorf("%q wait, %v; want none", keys, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if keys, err := other.Waiting(t.Context()); calls != 1 || len(keys) != 1 || err != nil {
		t.Errorf("%d calls, and %q wait, %v; want one of each", calls, keys, err)
	}
}
