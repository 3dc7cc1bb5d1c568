package bench

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkStartCold is velocity version when its file has to be read from the disk:
// before each start the system is asked to forget that file, and no other.
func BenchmarkStartCold(b *testing.B) {
	cold := filepath.Join(b.TempDir(), "velocity")
	run(b, "", "cp", program(b), cold) // which nobody else has opened
	var samples []sample
	for b.Loop() {
		forget(b, cold)
		samples = append(samples, run(b, "", cold, "version"))
	}
	report(b, samples)
}

// forget asks the system to keep no copy of a file in memory.
func forget(b *testing.B, file string) {
	b.Helper()
	f, err := os.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil { // what is not on the disk stays in memory
		b.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
}
