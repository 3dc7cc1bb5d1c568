package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	store "github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/roster"
)

// remote is a server without a builder of its own, for builders that connect to
// it over a websocket on loopback.
type remote struct {
	served
	state   string
	address string
	process *os.Process
}

// background starts a command, waits for a line on its standard error that has
// what want finds, and returns that. It is interrupted when the benchmark ends.
func background(b *testing.B, want *regexp.Regexp, argv ...string) (string, *os.Process) {
	b.Helper()
	p := launch(b, argv...)
	defer p.ignore()
	return p.until(want), p.cmd.Process
}

// A talker is a process that runs beside the benchmark and is listened to.
type talker struct {
	b       *testing.B
	cmd     *exec.Cmd
	log     io.Reader
	lines   *bufio.Scanner // of log
	said    []string
	drained chan struct{} // closed when the log has ended; nil while somebody listens
}

// launch starts a command, which is interrupted when the benchmark ends.
func launch(b *testing.B, argv ...string) *talker {
	b.Helper()
	p := &talker{b: b, cmd: exec.Command(argv[0], argv[1:]...)}
	var err error
	if p.log, err = p.cmd.StderrPipe(); err != nil {
		b.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p.lines = bufio.NewScanner(p.log)
	b.Cleanup(func() {
		_ = p.cmd.Process.Signal(os.Interrupt)
		if p.drained == nil {
			p.ignore()
		}
		<-p.drained
		_ = p.cmd.Wait()
	})
	return p
}

// until waits for a line that has what want finds, and returns that.
func (p *talker) until(want *regexp.Regexp) string {
	p.b.Helper()
	for p.lines.Scan() {
		p.said = append(p.said, p.lines.Text())
		if found := want.FindStringSubmatch(p.lines.Text()); found != nil {
			return found[len(found)-1]
		}
	}
	p.b.Fatalf("%v ended: %s", p.cmd.Args, strings.Join(p.said, "\n"))
	return ""
}

// ignore listens no more: a full pipe would hold the process up.
func (p *talker) ignore() {
	p.drained = make(chan struct{})
	go func() {
		defer close(p.drained)
		_, _ = io.Copy(io.Discard, p.log)
	}()
}

// serveRemote starts a server for a bare repository.
func serveRemote(b *testing.B, s served) remote {
	b.Helper()
	run(b, s.clone, program(b), "hook", "install", s.bare, "--executor", "host")
	r := remote{served: s, state: filepath.Join(b.TempDir(), "state")}
	r.start(b)
	return r
}

func (r *remote) start(b *testing.B) {
	b.Helper()
	r.address, r.process = background(b, regexp.MustCompile(`listening.* address=(\S+)`),
		program(b), "serve", "--repo", r.bare, "--state", r.state, "--listen", "127.0.0.1:0", "--no-builder")
}

// builder registers and starts a builder of one slot.
func (r remote) builder(b *testing.B, name string) {
	b.Helper()
	state := filepath.Join(b.TempDir(), name)
	token, err := exec.Command(program(b), "builder", "token", "--state", r.state).Output()
	if err != nil {
		b.Fatal(err)
	}
	run(b, r.clone, program(b), "builder", "register", "http://"+r.address, "--token", strings.TrimSpace(string(token)), "--name", name, "--state", state)
	background(b, regexp.MustCompile("(.*)"), program(b), "builder", "run", "--state", state, "--executor", "host", "--capacity", "1")
}

// BenchmarkRemotePushToFirstStep is a push to a server whose one builder is idle
// and connected over a websocket, with a mirror that lacks only the new commit:
// from the hand-over until the first user step starts and, as ready-ms, from the
// task being ready. All are as the build records them.
func BenchmarkRemotePushToFirstStep(b *testing.B) {
	r := serveRemote(b, bare(b))
	r.builder(b, "b1")
	r.push(b, "warm-up")
	var handed []sample
	var ready []time.Duration
	for b.Loop() {
		r.push(b, "main")
		built := r.newest(b)
		task := built.Stages[0].Tasks[0]
		first := task.Steps[1].Started
		handed = append(handed, sample{wall: first.Sub(built.Trigger.Received)})
		ready = append(ready, first.Sub(task.Ready))
	}
	report(b, handed)
	slices.Sort(ready)
	b.ReportMetric(milliseconds(ready[len(ready)/2]), "ready-ms")
}

// BenchmarkRemoteReadyToFirstStep is the same without a new commit: a build that
// somebody asks for, of what the builder's mirror has, from its task being ready
// until its first user step starts.
func BenchmarkRemoteReadyToFirstStep(b *testing.B) {
	r := serveRemote(b, bare(b))
	r.builder(b, "b1")
	r.push(b, "main")
	var samples []sample
	for b.Loop() {
		run(b, r.clone, program(b), "start", "default", "--repo", r.bare, "--follow")
		task := r.newest(b).Stages[0].Tasks[0]
		samples = append(samples, sample{wall: task.Steps[1].Started.Sub(task.Ready)})
	}
	report(b, samples)
}

// logSize is what a step prints, in bytes: a little under what is kept of it.
const logSize = 60 << 20

// logFile is a file of lines as compilers print them.
func logFile(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "log")
	var text strings.Builder
	for i := 0; text.Len() < logSize; i++ {
		fmt.Fprintf(&text, "%08d compiling github.com/example/project/internal/package%d\n", i, i%977)
	}
	if err := os.WriteFile(path, []byte(text.String()[:logSize]), 0o666); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkRemoteLog is a step that prints 60 MiB on a remote builder, from the
// request for the build until its log is in git and a reader who followed it has
// printed all of it.
func BenchmarkRemoteLog(b *testing.B) {
	path := logFile(b)
	from := project(b, 1, 1, fmt.Sprintf("command: [cat, %q]", path))
	s := served{bare: filepath.Join(b.TempDir(), "repo.git"), clone: from}
	git(b, from, "clone", "-q", "--bare", from, s.bare)
	git(b, from, "remote", "add", "origin", s.bare)
	r := serveRemote(b, s)
	r.builder(b, "b1")
	b.SetBytes(logSize)
	var samples []sample
	for b.Loop() {
		reader := exec.Command(program(b), "start", "default", "--repo", r.bare, "--follow")
		out, err := reader.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := reader.Start(); err != nil {
			b.Fatal(err)
		}
		read, err := io.Copy(io.Discard, out)
		if err := reader.Wait(); err != nil || read < logSize {
			b.Fatalf("the reader read %d bytes, %v", read, err)
		}
		samples = append(samples, sample{wall: time.Since(began)})
		if err != nil {
			b.Fatal(err)
		}
	}
	report(b, samples)
}

// BenchmarkBaselineCat copies the same log into a file.
func BenchmarkBaselineCat(b *testing.B) {
	path := logFile(b)
	b.SetBytes(logSize)
	each(b, b.TempDir(), "sh", "-c", "cat '"+path+"' > copy")
}

// BenchmarkIdleBuilders is the memory of a server while 1,000 builders are
// connected to it over websockets and give their signs of life, and how much more
// that is for each of them than before they came.
func BenchmarkIdleBuilders(b *testing.B) {
	const builders = 1000
	r := serveRemote(b, bare(b))
	if err := r.process.Signal(os.Interrupt); err != nil { // it has made its own repository
		b.Fatal(err)
	}
	keys := r.enlist(b, builders)
	r.start(b)
	for b.Loop() {
		before := resident(b, r.process.Pid)
		var all sync.WaitGroup
		for name, k := range keys {
			conn, err := dispatch.Dial(b.Context(), "ws://"+r.address+"/nats", name, k, dispatch.DialOptions{})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			i := &idler{presence: dispatch.Presence{Boot: "x", Capacity: 1, Executors: []string{"host"}}}
			if i.link, err = dispatch.Join(conn, name, i, dispatch.Trust{Keys: k}); err != nil {
				b.Fatal(err)
			}
			all.Go(func() { // as many beats as make sure that it was there for a while
				beats := time.NewTicker(dispatch.BeatEvery)
				defer beats.Stop()
				for range 5 {
					if err := i.link.Here(b.Context(), i.presence); err != nil {
						b.Error(err)
					}
					<-beats.C
				}
			})
		}
		all.Wait()
		after := resident(b, r.process.Pid)
		b.ReportMetric(float64(after)/1e6, "MB")
		b.ReportMetric(float64(after-before)/builders/1e3, "kB/builder")
	}
	b.ReportMetric(0, "ns/op")
}

// enlist registers builders in the server's own repository while it is down.
func (r remote) enlist(b *testing.B, n int) map[string]*dispatch.Keys {
	b.Helper()
	repo, err := store.Open(b.Context(), filepath.Join(r.state, "architect.git"))
	if err != nil {
		b.Fatal(err)
	}
	members, keys := roster.Open(repo, time.Now), map[string]*dispatch.Keys{}
	for i := range n {
		k, err := dispatch.NewKeys()
		if err != nil {
			b.Fatal(err)
		}
		name := fmt.Sprint("b", i)
		secret, _, err := members.Mint(b.Context(), roster.Registration{}, time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := members.Register(b.Context(), secret, roster.Builder{Name: name, Public: k.Public(), Curve: k.Curve(), Executors: []string{"host"}}); err != nil {
			b.Fatal(err)
		}
		keys[name] = k
	}
	return keys
}

// resident is the memory of a process that is in use, in bytes.
func resident(b *testing.B, pid int) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
