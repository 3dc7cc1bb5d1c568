package host

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/mask"
	"github.com/velocity-ci/velocity/builder/spool"
)

// BenchmarkTrue is what a step costs beside a bare process.
func BenchmarkTrue(b *testing.B) {
	b.Run("step", func(b *testing.B) {
		c := executor.Command{Argv: []string{"true"}, Workspace: b.TempDir(), Stdout: io.Discard, Stderr: io.Discard}
		for b.Loop() {
			if _, err := new(Executor).Run(b.Context(), c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

const flood = "yes 'the quick brown fox jumps over the lazy dog 0123456789' | head -c 100000000"

// BenchmarkFlood is a step that prints 100 MB with twenty secrets to mask, into
// a log that is closed and so durable, beside the same through cat.
func BenchmarkFlood(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	secrets := make(map[string]string)
	for i := range 20 {
		text := make([]byte, 40)
		for j := range text {
			text[j] = byte('!' + r.IntN('~'-'!'))
		}
		secrets[fmt.Sprint("token", i)] = string(text)
	}
	masker, err := mask.New(secrets)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("step", func(b *testing.B) {
		b.SetBytes(100000000)
		dir := b.TempDir()
		for i := 0; b.Loop(); i++ {
			floodStep(b, masker, dir, fmt.Sprint(i))
		}
	})
	b.Run("cat", func(b *testing.B) {
		b.SetBytes(100000000)
		path := filepath.Join(b.TempDir(), "out")
		for b.Loop() {
			if err := exec.Command("sh", "-c", flood+" | cat >"+path).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func floodStep(b *testing.B, masker *mask.Masker, dir, base string) {
	log := spool.Create(dir, base, spool.Options{Now: time.Now})
	step := log.Step()
	stdout, stderr := masker.Writer(step.Stdout), masker.Writer(step.Stderr)
	c := executor.Command{Argv: []string{"sh", "-c", flood}, Workspace: dir, Stdout: stdout, Stderr: stderr}
	if _, err := new(Executor).Run(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	for _, w := range []io.Closer{stdout, stderr, step.Stdout, step.Stderr} {
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	step.Close()
	if _, err := log.Close(); err != nil {
		b.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, base+".txt")); err != nil {
		b.Fatal(err)
	}
}
