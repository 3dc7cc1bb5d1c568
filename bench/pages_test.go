package bench

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A window is a server of pages, with a builder of its own, and a browser.
type window struct {
	remote
	http *http.Client
}

// openWindow serves a repository whose default pipeline has these steps, and signs in.
func openWindow(b *testing.B, steps string) window {
	b.Helper()
	from := project(b, 1, 1, strings.Replace(steps, "- type: run\n    ", "", 1))
	w := window{remote: remote{served: served{bare: filepath.Join(b.TempDir(), "repo.git"), clone: from}, state: filepath.Join(b.TempDir(), "state")}}
	git(b, from, "clone", "-q", "--bare", from, w.bare)
	run(b, from, program(b), "hook", "install", w.bare, "--executor", "host")
	w.address, w.process = background(b, regexp.MustCompile(`listening.* address=(\S+)`),
		program(b), "serve", "--repo", w.bare, "--state", w.state, "--listen", "127.0.0.1:0")
	token, err := exec.Command(program(b), "token", "create", "bench", "--rights", "read", "--state", w.state).Output()
	if err != nil {
		b.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	w.http = &http.Client{Jar: jar}
	resp, err := w.http.PostForm("http://"+w.address+"/login", url.Values{"token": {strings.TrimSpace(string(token))}})
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("sign in: %s", resp.Status)
	}
	return w
}

// get asks for a page, and returns how long that took and what it was.
func (w window) get(b *testing.B, path string) (time.Duration, string) {
	b.Helper()
	began := time.Now()
	resp, err := w.http.Get("http://" + w.address + path)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return time.Since(began), string(text)
}

// measure measures a page on which there must be a text.
func (w window) measure(b *testing.B, name, path, want string) {
	b.Run(name, func(b *testing.B) {
		var samples []sample
		size, before := 0, cpu(b, w.process.Pid)
		for b.Loop() {
			took, text := w.get(b, path)
			if !strings.Contains(text, want) {
				b.Fatalf("%s has no %q", path, want)
			}
			samples, size = append(samples, sample{wall: took}), len(text)
		}
		report(b, samples)
		b.ReportMetric(milliseconds(cpu(b, w.process.Pid)-before)/float64(len(samples)), "cpu-ms")
		b.ReportMetric(float64(size)/1e3, "kB")
	})
}

// BenchmarkLogPage is a log of 120 MiB in git, of two steps, by what people ask of it.
func BenchmarkLogPage(b *testing.B) {
	file := logFile(b)
	step := fmt.Sprintf("- type: run\n    command: [cat, %q]\n", file)
	w := openWindow(b, step+"  "+step)
	w.await(b, []plan.Commit{plan.Commit(git(b, w.clone, "rev-parse", "HEAD"))}) // a new server builds it
	id := w.newest(b).ID.String()
	log := "/builds/" + id + "/log/s0t0"
	lines := strings.Count(w.all(b, log+"/raw"), "\n")
	if lines < 1_000_000 {
		b.Fatalf("the log has %d lines", lines)
	}
	w.measure(b, "first lines", log+"?line=1", `id="L1"`)
	w.measure(b, "last lines", log+"?end=1", fmt.Sprintf(`id="L%d"`, lines))
	w.measure(b, "lines in the middle", fmt.Sprintf("%s?line=%d", log, lines/2), fmt.Sprintf(`id="L%d"`, lines/2))
	w.measure(b, "with times", log+"?line=1&times=1", `class="t"`)
	w.measure(b, "search, found at once", log+"?q=compiling", "Later matches")
	w.measure(b, "search of all", log+"?q=nowhere", "No line has")
	b.Run("raw", func(b *testing.B) {
		b.SetBytes(int64(len(w.all(b, log+"/raw"))))
		for b.Loop() {
			w.get(b, log+"/raw")
		}
	})
	b.ReportMetric(float64(resident(b, w.process.Pid))/1e6, "server-MB")
}

func (w window) all(b *testing.B, path string) string {
	_, text := w.get(b, path)
	return text
}

// BenchmarkFollowers is one log of 8 MiB, printed while 1,000 follow it: how long it
// takes from the first byte until the last of them has the end, and what it costs the
// server; beside the same with one follower.
func BenchmarkFollowers(b *testing.B) {
	for _, many := range []int{1, 1000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) { benchmarkFollowers(b, many) })
	}
}

func benchmarkFollowers(b *testing.B, many int) {
	gate := filepath.Join(b.TempDir(), "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		b.Fatal(err)
	}
	pass, err := os.OpenFile(gate, os.O_RDWR, 0) // held open: what was written stays until it is read
	if err != nil {
		b.Fatal(err)
	}
	defer pass.Close()
	const size = 8 << 20
	w := openWindow(b, fmt.Sprintf("- type: run\n    script: 'echo here; read go <%s; head -c %d %s'\n", gate, size, logFile(b)))
	let := func() {
		if _, err := pass.WriteString("go\n"); err != nil {
			b.Fatal(err)
		}
	}
	let()
	w.await(b, []plan.Commit{plan.Commit(git(b, w.clone, "rev-parse", "HEAD"))}) // a new server builds it
	var samples []sample
	for b.Loop() {
		out, err := exec.Command(program(b), "start", "default", "--repo", w.bare).CombinedOutput()
		id := regexp.MustCompile(`\w{6}-\d+`).FindString(string(out))
		if err != nil || id == "" {
			b.Fatalf("start: %v: %s", err, out)
		}
		idle, before := resident(b, w.process.Pid), cpu(b, w.process.Pid)
		var here sync.WaitGroup
		here.Add(many)
		var all errgroup.Group
		for range many {
			all.Go(func() error { return w.follow("/builds/"+id+"/log/s0t0/live?from=0-1", size, here.Done) })
		}
		here.Wait()
		joined, began := resident(b, w.process.Pid), time.Now()
		let()
		if err := all.Wait(); err != nil {
			b.Fatal(err)
		}
		samples = append(samples, sample{wall: time.Since(began)})
		if _, log := w.get(b, "/builds/"+id+"/log/s0t0/raw"); len(log) < size {
			b.Fatalf("the log has %d bytes: %s", len(log), log[:min(len(log), 500)])
		}
		b.ReportMetric(float64(joined-idle)/1e3/float64(many), "kB/follower")
		b.ReportMetric(float64(resident(b, w.process.Pid))/1e6, "MB")
		b.ReportMetric((cpu(b, w.process.Pid) - before).Seconds(), "cpu-s")
	}
	report(b, samples)
}

// follow follows a log of at least so many bytes to its end, and calls here at the
// first line.
func (w window) follow(path string, size int, here func()) error {
	resp, err := w.http.Get("http://" + w.address + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	read := 0
	for first := true; ; {
		line, err := lines.ReadSlice('\n')
		read += len(line)
		switch {
		case err == bufio.ErrBufferFull: // of data nothing more is looked at
		case err != nil:
			return err
		case first && strings.HasPrefix(string(line), "event: lines"):
			here()
			first = false
		case strings.HasPrefix(string(line), "event: end"):
			if read < size {
				return fmt.Errorf("it ended after %d bytes", read)
			}
			return nil
		}
	}
}

// cpu is what a process has used of it.
func cpu(b *testing.B, pid int) time.Duration { return ticks(b, pid, 2) }

// cpuOfAll is that of a process and of those that it waited for.
func cpuOfAll(b *testing.B, pid int) time.Duration { return ticks(b, pid, 4) }

// ticks adds up the first so many times that Linux knows of a process: its own two, of
// the user and the system, and then those of its children.
func ticks(b *testing.B, pid, times int) (sum time.Duration) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	for _, text := range fields[11 : 11+times] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(n) * time.Second / 100 // what Linux calls a tick
	}
	return sum
}
