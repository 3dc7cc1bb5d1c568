package app_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A stranger is a process of the test that is no child of this one. Its handle
// is of the process that was looked at, whatever becomes of its number.
type stranger struct {
	handle *os.Process
	args   []string
	env    []string
	state  byte // as in /proc: R, S, T, Z, …
}

// processes finds all processes of the test: those whose arguments or environment
// name its folder.
func (y *yard) processes() []stranger {
	y.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		y.t.Fatal(err)
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
		s := stranger{handle: handle, args: list(dir, "cmdline"), env: list(dir, "environ"), state: state(dir)}
		ours := strings.Contains(strings.Join(append(s.args, s.env...), " "), y.root)
		if ours && s.state != 'Z' && s.state != 'X' {
			found = append(found, s)
		}
	}
	return found
}

// list reads a file of strings that end with zeros; of a process that is gone
// there are none.
func list(dir, name string) []string {
	data, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

func state(dir string) byte {
	data, _ := os.ReadFile(filepath.Join(dir, "stat"))
	if i := bytes.LastIndexByte(data, ')'); i >= 0 && i+2 < len(data) {
		return data[i+2]
	}
	return 'X'
}

// is tells which command of the program a process runs.
func (s stranger) is(command ...string) bool {
	return len(s.args) > len(command) && filepath.Base(s.args[0]) == "velocity" && slices.Equal(s.args[1:1+len(command)], command)
}

// kill ends one of the processes that run this command, and says how many that
// were. The push whose hook it was is noted: Velocity may not know of it.
func (y *yard) kill(random *rand.Rand, command ...string) int {
	all := slices.DeleteFunc(y.processes(), func(s stranger) bool { return !s.is(command...) })
	if len(all) == 0 {
		return 0
	}
	s := all[random.IntN(len(all))]
	if s.is("hook", "post-receive") {
		for _, entry := range s.env {
			if id, ok := strings.CutPrefix(entry, "YARD_PUSH="); ok {
				y.untold.Store(id, true)
			}
		}
	}
	if s.handle.Kill() != nil {
		return 0 // it has just ended
	}
	return 1
}

// fsckFrozen checks the repository at one moment, as a power cut would leave it
// but for what the disk may lose: nobody moves meanwhile.
func (y *yard) fsckFrozen() {
	y.t.Helper()
	y.births.Lock()
	defer y.births.Unlock()
	var frozen []stranger
	still := 0 // looks in a row that saw nobody move: one alone may miss a process that is being born
	y.eventually("all processes to stop", func() bool {
		still++
		for _, s := range y.processes() {
			if s.state != 'T' {
				still = 0
				_ = s.handle.Signal(syscall.SIGSTOP) // it may be gone
				frozen = append(frozen, s)
			}
		}
		return still == 3
	})
	y.fsck()
	for _, s := range frozen {
		_ = s.handle.Signal(syscall.SIGCONT)
	}
}

// eventually waits for something that gives no sign when it happens.
func (y *yard) eventually(what string, happened func() bool) {
	y.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !happened() {
		select {
		case <-tick.C:
		case <-late:
			y.t.Errorf("waited in vain for %s", what)
			return
		}
	}
}
