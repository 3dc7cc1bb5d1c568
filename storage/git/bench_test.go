package git

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkDurableMove is the cost of recording moves of one build: blob, tree,
// commit and ref, durable. The baseline is git doing the same with its fsyncs on.
func BenchmarkDurableMove(b *testing.B) {
	state := strings.Repeat(`{"task":"test/unit","state":"building"}`, 9) // 350 bytes
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch of %d", size), func(b *testing.B) {
			r, _ := newBare(b)
			tip, n, batches := Zero, 0, 0
			for b.Loop() {
				if batches++; batches%32 == 0 { // which runs beside writers
					b.StopTimer()
					upkeep(b, r, 32)
					b.StartTimer()
				}
				batch := r.NewBatch()
				next := tip
				for range size {
					n++
					next = oneFile(b, batch, fmt.Sprint(state, n), parentsOf(next)...)
				}
				if err := r.Write(b.Context(), batch, []RefUpdate{{testRef, tip, next}}); err != nil {
					b.Fatal(err)
				}
				tip = next
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "moves/s")
		})
	}
	b.Run("64 builds at once", func(b *testing.B) {
		r, _ := newBare(b)
		var tips [64]Hash
		n := 0
		for b.Loop() {
			batch := r.NewBatch()
			var updates []RefUpdate
			for i, tip := range tips {
				n++
				tips[i] = oneFile(b, batch, fmt.Sprint(state, n), parentsOf(tip)...)
				updates = append(updates, RefUpdate{fmt.Sprintf("refs/velocity/s/live/%010d", i), tip, tips[i]})
			}
			if err := r.Write(b.Context(), batch, updates); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "moves/s")
	})
	b.Run("git", func(b *testing.B) {
		_, dir := newBare(b)
		durable := []string{"-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync"}
		git := func(stdin string, args ...string) string {
			return cliInput(b, dir, stdin, append(durable, args...)...)
		}
		tip, n := "", 0
		for b.Loop() {
			n++
			blob := git(fmt.Sprint(state, n), "hash-object", "-w", "--stdin")
			args := []string{"commit-tree", "-m", "x", git("100644 blob "+blob+"\tfile\n", "mktree")}
			if tip != "" {
				args = append(args, "-p", tip)
			}
			tip = git("", args...)
			git("", "update-ref", testRef, tip)
		}
	})
}

// BenchmarkCheckout makes a workspace of a small repository; the baselines are
// git's two cheapest ways.
func BenchmarkCheckout(b *testing.B) {
	files := map[string]string{"a": "1", "b": "2", "c/d": "3", "c/e": "4", "f": "5"}
	b.Run("ours", func(b *testing.B) {
		r, dir := newWork(b, files)
		head := hash(b, cli(b, dir, "rev-parse", "HEAD"))
		base, n := b.TempDir(), 0
		for b.Loop() {
			n++
			if err := r.Checkout(b.Context(), filepath.Join(base, fmt.Sprint(n)), head); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, args := range map[string][]string{
		"git worktree add":   {"worktree", "add", "--quiet", "--detach"},
		"git clone --shared": {"clone", "--quiet", "--shared", "."},
	} {
		b.Run(name, func(b *testing.B) {
			_, dir := newWork(b, files)
			base, n := b.TempDir(), 0
			for b.Loop() {
				n++
				cli(b, dir, append(args[:len(args):len(args)], filepath.Join(base, fmt.Sprint(n)))...)
			}
		})
	}
}

// BenchmarkOpenAndRead is what velocity run needs of a repository.
func BenchmarkOpenAndRead(b *testing.B) {
	_, dir := newWork(b, map[string]string{".velocity.yml": "project: {}", "a": "1"})
	cli(b, dir, "gc", "--quiet")
	for b.Loop() {
		r := open(b, dir)
		_, h, err := r.Head()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.ReadFile(h, ".velocity.yml", 1<<18); err != nil {
			b.Fatal(err)
		}
	}
}
