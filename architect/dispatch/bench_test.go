package dispatch_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// nobody is an ear and a worker that do nothing.
type nobody struct{}

func (nobody) Here(context.Context, dispatch.Presence) error              { return nil }
func (nobody) Step(context.Context, string, dispatch.Progress) error      { return nil }
func (nobody) Log(context.Context, string, dispatch.Chunk) (int64, error) { return 0, nil }
func (nobody) End(context.Context, string, dispatch.Result) error         { return nil }
func (nobody) Take(dispatch.Assignment) error                             { return nil }
func (nobody) Stop(dispatch.Attempt, string) error                        { return nil }

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("b-%d", i)
	}
	return all
}

// BenchmarkRoundTrip is one message each way: an assignment signed, sealed,
// verified and answered; a sign of life; a full chunk of a log.
func BenchmarkRoundTrip(b *testing.B) {
	for _, way := range ways {
		r := newRig(b, "b-0")
		hub := r.listen(b, nobody{})
		link := r.join(b, r.dial(b, way, "b-0", r.keys["b-0"]), "b-0", nobody{})
		chunk := dispatch.Chunk{Attempt: attempt, File: dispatch.TextFile, Data: make([]byte, dispatch.MaxChunk)}
		for name, send := range map[string]func(ctx context.Context) error{
			"assign": func(ctx context.Context) error {
				return hub.Assign(ctx, "b-0", dispatch.Assignment{Attempt: attempt, Values: map[string]string{"token": "0123456789"}})
			},
			"here": func(ctx context.Context) error { return link.Here(ctx, dispatch.Presence{Boot: "x"}) },
			"log":  func(ctx context.Context) error { _, err := link.Log(ctx, chunk); return err },
		} {
			b.Run(name+"/"+way, func(b *testing.B) {
				if name == "log" {
					b.SetBytes(dispatch.MaxChunk)
				}
				for b.Loop() {
					if err := send(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkTasks hands out tasks that do nothing: one operation is an assignment
// and its result.
func BenchmarkTasks(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		for _, way := range []string{"in process", "wss"} {
			b.Run(fmt.Sprintf("%d links/%s", n, way), func(b *testing.B) {
				r := newRig(b, names(n)...)
				hub := r.listen(b, nobody{})
				links := make([]*dispatch.Link, n)
				for i, name := range names(n) {
					links[i] = r.join(b, r.dial(b, way, name, r.keys[name]), name, nobody{})
				}
				var next atomic.Int64
				b.SetParallelism((n + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					i := int(next.Add(1)-1) % n
					for pb.Next() {
						if err := hub.Assign(b.Context(), fmt.Sprintf("b-%d", i), dispatch.Assignment{Attempt: attempt}); err != nil {
							b.Error(err)
						}
						if err := links[i].End(b.Context(), dispatch.Result{Attempt: attempt, Verdict: dispatch.Succeeded}); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkIdleLinks connects 1,000 builders over ws and reports what both ends
// of one cost in memory, in this process that has both.
func BenchmarkIdleLinks(b *testing.B) {
	const n = 1000
	for b.Loop() {
		r := newRig(b, names(n)...)
		r.listen(b, nobody{})
		before := memory()
		for _, name := range names(n) {
			r.join(b, r.dial(b, "ws", name, r.keys[name]), name, nobody{})
		}
		b.ReportMetric(float64(memory()-before)/n/1024, "KiB/link")
		b.ReportMetric(float64(runtime.NumGoroutine())/n, "goroutines/link")
	}
}

func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
