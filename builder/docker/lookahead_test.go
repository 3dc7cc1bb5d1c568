package docker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"pgregory.net/rapid"
)

// A source is a flood of size bytes that counts what was taken of it.
type source struct {
	size, taken atomic.Int64
	once        sync.Once
	empty       chan struct{}
}

func newSource(size int64) *source {
	s := &source{empty: make(chan struct{})}
	s.size.Store(size)
	return s
}

func (s *source) Read(p []byte) (int, error) {
	n := min(int64(len(p)), s.size.Load()-s.taken.Load())
	if n == 0 {
		s.once.Do(func() { close(s.empty) })
		return 0, io.EOF
	}
	s.taken.Add(n)
	return int(n), nil
}

// While nothing is taken out, reading ahead goes on by a chunk a pause, up to a
// limit, and goes on at full speed afterwards.
func TestLookaheadIsBounded(t *testing.T) {
	l, src := newLookahead(), newSource(aheadMost+10<<20)
	limit := make(chan int)
	var slowest, last int
	l.pause = func(held int) <-chan time.Time {
		slowest = max(slowest, held-last)
		last = held
		if aheadPauses(held) == nil {
			limit <- held
			return nil
		}
		now := make(chan time.Time, 1)
		now <- time.Time{}
		return now
	}
	filled := make(chan struct{})
	go func() { defer close(filled); l.fill(src) }()
	select {
	case held := <-limit:
		if held < aheadMost || held > aheadMost+aheadChunk || src.taken.Load() != int64(held) {
			t.Errorf("%d bytes held, %d taken, want about %d", held, src.taken.Load(), aheadMost)
		}
		if slowest > aheadFree+aheadChunk {
			t.Errorf("%d bytes were read ahead within one pause", slowest)
		}
	case <-src.empty:
		t.Fatal("all was read ahead")
	}
	go func() { // the limit is met again while the rest is read
		for range limit {
		}
	}()
	n, err := io.Copy(io.Discard, l)
	if n != src.size.Load() || err != nil {
		t.Errorf("read %d bytes in the end, %v, want %d", n, err, src.size.Load())
	}
	<-filled
	close(limit)
}

// Whatever the sizes of reads on either side, bytes come out as they went in,
// followed by the source's error.
func TestLookaheadKeepsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "text"), rapid.IntRange(0, 20_000).Draw(t, "times"))
		broken := errors.New("broken")
		l := newLookahead()
		var filling sync.WaitGroup
		filling.Go(func() { l.fill(io.MultiReader(iotest.HalfReader(bytes.NewReader(want)), iotest.ErrReader(broken))) })
		var got bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&got}, l, make([]byte, rapid.IntRange(1, 100_000).Draw(t, "read")))
		filling.Wait()
		if !bytes.Equal(got.Bytes(), want) || !errors.Is(err, broken) {
			t.Fatalf("%d bytes came out, %v, want %d and the source's error", got.Len(), err, len(want))
		}
	})
}

// stalledWriter writes nothing until it is released.
type stalledWriter struct {
	release <-chan struct{}
	bytes.Buffer
}

func (w *stalledWriter) Write(p []byte) (int, error) {
	<-w.release
	return w.Buffer.Write(p)
}

// The writers stall until the engine says that the container has ended, which it
// does once it has no more patience for output that nobody takes. The sizes are
// around what engine and socket hold themselves, with and without what is read at
// once: there the last bytes are lost if reading stalls as well.
func TestStalledWriterLosesNoTail(t *testing.T) {
	e := newExecutor(t, Limits{})
	api := newClient(t)
	for kib := 1300; kib <= 1900; kib += 75 {
		ctx, cancel := context.WithCancel(t.Context())
		died, errs := api.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
			filters.Arg("label", labelBuilder+"="+e.builder), filters.Arg("event", "die"))})
		release := make(chan struct{})
		go func() {
			defer close(release)
			select {
			case c := <-died:
				exits, errs := api.ContainerWait(ctx, c.Actor.ID, container.WaitConditionNotRunning)
				select {
				case <-exits:
				case <-errs:
				}
			case <-errs:
			}
		}()
		want := append(bytes.Repeat([]byte{'0'}, kib<<10-4), fmt.Sprint(kib)...)
		cmd := shell(t, fmt.Sprintf(`printf %%0%dd %d`, kib<<10, kib))
		got := &stalledWriter{release: release}
		cmd.Stdout = got
		result, err := e.Run(t.Context(), cmd)
		cancel()
		<-release
		if err != nil || result.Exit != 0 {
			t.Fatalf("Run = %+v, %v", result, err)
		}
		if sha256.Sum256(got.Bytes()) != sha256.Sum256(want) {
			t.Errorf("%d bytes of %d arrived", got.Len(), len(want))
		}
	}
}
