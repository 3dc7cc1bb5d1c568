package bench

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// envCacheSize is the variable that says how many megabytes a cache has here.
const envCacheSize = "VELOCITY_BENCH_CACHE_MB"

// cacheFile is how large each of its files is, in bytes: a package's archive, or
// what a compiler keeps.
const cacheFile = 64 << 10

// cacheBytes is the size of the cache, 20 MB if nothing else is said.
func cacheBytes(b *testing.B) int {
	b.Helper()
	text := os.Getenv(envCacheSize)
	if text == "" {
		text = "20"
	}
	size, err := strconv.Atoi(text)
	if err != nil || size < 1 {
		b.Fatalf("%s=%q is no number of megabytes", envCacheSize, text)
	}
	return size * 1_000_000
}

// cached makes a repository whose only task has a cache, deps, and fills that with
// hexadecimal digits: half of them is what they tell.
func cached(b *testing.B) string {
	b.Helper()
	dir := project(b, 1, 1, "command: \"true\"\ncaches: [{key: deps, paths: [deps]}]")
	random, raw := rand.NewChaCha8([32]byte{}), make([]byte, cacheFile/2)
	for n := range cacheBytes(b) / cacheFile {
		folder := filepath.Join(dir, "deps", fmt.Sprint(n%100))
		if err := os.MkdirAll(folder, 0o777); err != nil {
			b.Fatal(err)
		}
		_, _ = random.Read(raw) // it never fails
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(n)), []byte(hex.EncodeToString(raw)), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// measure runs a command over and over, each time after before, and reports how
// much of the cache it gets done, too.
func measure(b *testing.B, dir string, before, argv []string, done string) {
	b.Helper()
	var samples []sample
	for b.Loop() {
		run(b, dir, before...)
		samples = append(samples, run(b, dir, argv...))
		if _, err := os.Stat(filepath.Join(dir, done)); err != nil {
			b.Fatalf("%v left nothing: %v", argv, err)
		}
	}
	report(b, samples)
	b.ReportMetric(float64(cacheBytes(b))/1e6/samples[len(samples)/2].wall.Seconds(), "MB/s")
}

const kept = ".git/velocity/blobs"

// BenchmarkCacheSave is velocity run with a cache that is not kept yet.
func BenchmarkCacheSave(b *testing.B) {
	dir := cached(b)
	measure(b, dir, []string{"rm", "-rf", kept}, []string{program(b), "run"}, kept)
}

// BenchmarkCacheRestore is velocity run with a cache that is kept, in a work tree
// that lacks it.
func BenchmarkCacheRestore(b *testing.B) {
	dir := cached(b)
	run(b, dir, program(b), "run")
	measure(b, dir, []string{"rm", "-rf", "deps"}, []string{program(b), "run"}, "deps/0/0")
}

// needs skips a baseline that the machine has no programs for.
func needs(b *testing.B, programs ...string) {
	b.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			b.Skip(err)
		}
	}
}

func sh(script string) []string { return []string{"sh", "-ec", script} }

// BenchmarkBaselineTarZstdSave is the same by hand, and as durable.
func BenchmarkBaselineTarZstdSave(b *testing.B) {
	needs(b, "tar", "zstd")
	measure(b, cached(b), sh("rm -f kept"), sh("tar -cf - deps | zstd -q -T0 -o kept; sync kept"), "kept")
}

// BenchmarkBaselineTarZstdRestore is the same by hand.
func BenchmarkBaselineTarZstdRestore(b *testing.B) {
	needs(b, "tar", "zstd")
	dir := cached(b)
	run(b, dir, sh("tar -cf - deps | zstd -q -T0 -o kept")...)
	measure(b, dir, sh("rm -rf deps"), sh("zstd -q -dc kept | tar -xf -"), "deps/0/0")
}
