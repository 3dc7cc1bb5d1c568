//go:build linux

package chaos

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for a process: for an architect to listen, for a
// builder to drain.
const patience = time.Minute

// A machine runs one process of the program, one life after the other. The hand
// does one thing to it at a time.
type machine struct {
	y       *yard
	name    string
	args    []string
	ready   *regexp.Regexp // what it says when it works; nil if nobody waits for that
	address string         // of the architect
	line    *line          // of a builder
	state   string         // of a builder: its folder
	life    *life
}

// A life is one process, from its start to its end.
type life struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu   sync.Mutex
	told bool // its end was wished for
}

func (y *yard) newMachine(name string, args ...string) *machine {
	return &machine{y: y, name: name, args: args}
}

func (m *machine) logPath() string { return filepath.Join(m.y.root, m.name+".log") }

// start begins a life, and returns what its sign of readiness names. Nothing but
// the end of the test ends a machine's life unless it is told.
func (m *machine) start() string {
	log, err := os.OpenFile(m.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		m.y.t.Error(err)
		return ""
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		m.y.t.Error(err)
		return ""
	}
	l := &life{cmd: m.y.command(m.y.root, m.y.program, m.args...), ended: make(chan struct{})}
	l.cmd.Stdout, l.cmd.Stderr = log, log
	if err := l.cmd.Start(); err != nil {
		m.y.t.Error(err)
		return ""
	}
	m.life = l
	go func() {
		err := l.cmd.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.told {
			m.y.findings.add("process", "%s ended by itself: %v\n%s", m.name, err, m.said(0))
		}
		close(l.ended)
	}()
	return m.await(info.Size())
}

// await waits until a life that began at an offset of the log is ready.
func (m *machine) await(from int64) (sign string) {
	if m.ready == nil {
		return ""
	}
	ok := eventually(patience, func() bool {
		found := m.ready.FindSubmatch([]byte(m.said(from)))
		if found != nil {
			sign = string(found[1])
		}
		return found != nil
	})
	if !ok {
		m.y.findings.add("process", "%s is not ready after %s\n%s", m.name, patience, m.said(from))
	}
	return sign
}

// said is what the machine has said from an offset on, or the end of it.
func (m *machine) said(from int64) string {
	text, err := os.ReadFile(m.logPath())
	if err != nil {
		return err.Error()
	}
	text = text[min(from, int64(len(text))):]
	return string(text[max(0, len(text)-8000):])
}

// signal sends a signal, and says nothing if the process is gone.
func (m *machine) signal(s syscall.Signal) { _ = m.life.cmd.Process.Signal(s) }

// end makes the process end by a signal, and waits until it has. A process that
// takes too long is a finding, and is killed.
func (m *machine) end(s syscall.Signal) (status int) {
	m.life.mu.Lock()
	m.life.told = true
	m.life.mu.Unlock()
	m.signal(s)
	select {
	case <-m.life.ended:
	case <-time.After(patience):
		m.y.findings.add("process", "%s does not end within %s of %v\n%s", m.name, patience, s, m.said(0))
		m.signal(syscall.SIGKILL)
		<-m.life.ended
	}
	return m.life.cmd.ProcessState.ExitCode()
}

// A stranger is a process of the yard that is no child of this one. Its handle is
// of the process that was looked at, whatever becomes of its number.
type stranger struct {
	handle *os.Process
	args   string
}

// processes finds all processes of the yard: those whose arguments or environment
// name its folder.
func (y *yard) processes() []stranger {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		y.t.Error(err)
	}
	var found []stranger
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		handle, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		args, err1 := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, err2 := os.ReadFile(filepath.Join(dir, "environ"))
		if err1 != nil || err2 != nil { // it is gone
			continue
		}
		if bytes.Contains(args, []byte(y.root)) || bytes.Contains(env, []byte(y.root)) {
			found = append(found, stranger{handle, strings.ReplaceAll(string(args), "\x00", " ")})
		}
	}
	return found
}

// A findings list holds what must not be, by the invariant that it breaks.
type findings struct {
	mu  sync.Mutex
	all map[string][]string
}

func (f *findings) add(invariant, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string][]string{}
	}
	f.all[invariant] = append(f.all[invariant], fmt.Sprintf(format, args...))
}
