package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A process is what /proc tells about one.
type process struct {
	pid, parent, group, session int

	state  byte
	ending bool   // it is past its last instruction, and shows no environment any more
	start  string // when it began; with pid, this names a process for ever
}

func readProcess(pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	p, err := parseStat(stat)
	p.pid = pid
	return p, err
}

var errStat = errors.New("unexpected form of /proc/<pid>/stat")

// parseStat reads the line "pid (name) state parent group session …", in which
// the name may hold any byte, blanks and parentheses included.
func parseStat(stat []byte) (process, error) {
	const (
		flags   = 6   // index of the kernel's flags, counted from the state
		start   = 19  // of the start time
		exiting = 0x4 // PF_EXITING in linux/sched.h
	)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= start || fields[0] < "A" || fields[0] > "z" { // the state is a letter
		return process{}, errStat
	}
	p := process{state: fields[0][0], start: fields[start]}
	bits, err := strconv.ParseUint(fields[flags], 10, 64)
	if err != nil {
		return process{}, errStat
	}
	p.ending = bits&exiting != 0
	for i, field := range []*int{&p.parent, &p.group, &p.session} {
		var err error
		if *field, err = strconv.Atoi(fields[i+1]); err != nil {
			return process{}, errStat
		}
	}
	return p, nil
}

// A process that is just running another program shows no environment for a
// moment: an empty one is looked at again, this often at this pace.
const (
	environLooks = 4
	environPause = 500 * time.Microsecond
)

// marks are the marks in the environment of a process, none if it has ended or
// belongs to somebody else.
func (p process) marks() []string {
	for look := 1; ; look++ {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		if err != nil {
			return nil
		}
		if len(environ) > 0 || look == environLooks {
			return marksOf(environ)
		}
		<-time.After(environPause)
	}
}

// self names this process for ever.
var self = sync.OnceValue(func() string { return lasting(os.Getpid()) })

// lasting returns the everlasting name of the process that has a pid now, "" if
// there is none.
func lasting(pid int) string {
	p, err := readProcess(pid)
	if err != nil || p.state == 'Z' {
		return ""
	}
	return fmt.Sprintf("%d.%s", pid, p.start)
}

// children returns the ids of this process' children, adopted ones included.
func children() []int {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var pids []int
	for _, thread := range threads {
		text, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/children")
		if errors.Is(err, fs.ErrNotExist) && thread.Name() == strconv.Itoa(os.Getpid()) {
			return childrenByParent()
		}
		if err != nil {
			continue // the thread has ended, and another has its children
		}
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// childrenByParent does the same where the kernel keeps no such lists.
func childrenByParent() []int {
	var pids []int
	for _, pid := range allProcesses() {
		if p, err := readProcess(pid); err == nil && p.parent == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

func allProcesses() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
