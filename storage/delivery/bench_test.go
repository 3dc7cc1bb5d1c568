package delivery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

// BenchmarkAccept is the cost of taking a delivery in, durably, as GitHub sends one
// for a push. The baseline is one write and fsync of as many bytes.
func BenchmarkAccept(b *testing.B) {
	body := strings.Repeat(`{"ref":"refs/heads/main","after":"0000000000000000000000000000000000000000"}`, 100) // 7.6 kB
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d at once", callers), func(b *testing.B) {
			r := newRig(b)
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() { r.Run(ctx); close(ended) }()
			defer func() { stop(); <-ended }()
			var n atomic.Int64
			var group errgroup.Group
			group.SetLimit(callers)
			for b.Loop() {
				group.Go(func() error {
					d := r.some(int(n.Add(1)))
					d.Body = fmt.Append(d.Body, body)
					return r.Accept(ctx, d)
				})
			}
			if err := group.Wait(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
	b.Run("fsync", func(b *testing.B) {
		file, err := os.Create(filepath.Join(b.TempDir(), "file"))
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		for b.Loop() {
			if _, err := file.WriteString(body); err != nil {
				b.Fatal(err)
			}
			if err := file.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
