package bench

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkSize is how large the program is, as it is and packed for a release.
func BenchmarkSize(b *testing.B) {
	for name, file := range map[string]string{"velocity": program(b), "hello": hello(b)} {
		b.Run(name, func(b *testing.B) {
			plain, packed := sizes(b, file)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(plain)/1e6, "MB")
			b.ReportMetric(float64(packed)/1e6, "MB-packed")
		})
	}
}

// sizes are those of a file, and of what gzip makes of it, in bytes.
func sizes(b *testing.B, file string) (plain, packed int64) {
	b.Helper()
	in, err := os.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	var out counter
	z := gzip.NewWriter(&out)
	if plain, err = io.Copy(z, in); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return plain, int64(out)
}

// A counter counts the bytes that are written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// hello is a program that prints a word, built as velocity is: what Go itself costs.
func hello(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	source, made := filepath.Join(dir, "hello.go"), filepath.Join(dir, "hello")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"hello\\n\") }\n"), 0o666); err != nil {
		b.Fatal(err)
	}
	compile(b, made, source)
	return made
}

// BenchmarkStart is a program's start and end, when its file is in memory, beside
// that of others.
func BenchmarkStart(b *testing.B) {
	for _, c := range []struct {
		name string
		argv []string
	}{
		{"true", []string{"/bin/true"}},
		{"hello", []string{hello(b)}},
		{"git", []string{"git", "version"}},
		{"docker", []string{"docker", "--version"}},
		{"version", []string{program(b), "version"}},
		{"help", []string{program(b), "help"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			if _, err := exec.LookPath(c.argv[0]); err != nil {
				b.Logf("left out: %v", err)
				return
			}
			each(b, b.TempDir(), c.argv...)
		})
	}
}

// idle is how long a server is left alone before its memory is looked at: Go gives
// back what it does not need in the background, and collects garbage every two
// minutes if nothing else makes it.
const idle = 150 * time.Second

// BenchmarkServeIdle is the memory of a server of one repository, with pages, NATS
// and a builder in its process: when the first page was drawn, right after so many
// builds as there are iterations, and when it was idle afterwards.
func BenchmarkServeIdle(b *testing.B) {
	w := openWindow(b, `command: "true"`)
	git(b, w.clone, "remote", "add", "origin", w.bare)
	w.get(b, "/")
	begun := w.occupied(b)
	for b.Loop() {
		w.push(b, "main")
	}
	w.get(b, "/")
	built := w.occupied(b)
	<-time.After(idle)
	b.ReportMetric(0, "ns/op")
	begun.report(b, "begun")
	built.report(b, "built")
	w.occupied(b).report(b, "idle")
}

// An occupation is the memory of a process in bytes: all of it, and the part that is
// pages of the program's file, which the system takes back when it has a better use
// for them.
type occupation struct{ all, file int64 }

func (o occupation) report(b *testing.B, when string) {
	b.ReportMetric(float64(o.all)/1e6, when+"-MB")
	b.ReportMetric(float64(o.file)/1e6, when+"-file-MB")
}

// occupied is the memory of the server at this moment.
func (w window) occupied(b *testing.B) occupation {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", w.process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	var resident, anonymous int64 // kB
	for line := range strings.Lines(string(text)) {
		switch key, value, _ := strings.Cut(line, ":"); key {
		case "Rss":
			_, err = fmt.Sscan(value, &resident)
		case "Anonymous":
			_, err = fmt.Sscan(value, &anonymous)
		}
		if err != nil {
			b.Fatalf("%s: %v", strings.TrimSpace(line), err)
		}
	}
	return occupation{all: resident << 10, file: (resident - anonymous) << 10}
}
