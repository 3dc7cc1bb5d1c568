package builder

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/velocity-ci/velocity/builder/mask"
	"github.com/velocity-ci/velocity/builder/spool"
)

// A journal is the log of an attempt. Its parts are written one after the other:
// output of a process, or lines of the builder itself.
type journal struct {
	log  *spool.Log
	size atomic.Int64
	open atomic.Bool // the last line has no end yet
}

// newJournal makes a log at base, a path without endings. grown is called whenever
// it has grown, and must return at once.
func newJournal(base string, o spool.Options, grown func()) *journal {
	j := &journal{}
	o.OnAppend = j.appended(grown)
	j.log = spool.Create(filepath.Dir(base), filepath.Base(base), o)
	return j
}

func (j *journal) appended(grown func()) func(offset int64, p []byte) {
	return func(offset int64, p []byte) {
		j.open.Store(p[len(p)-1] != '\n')
		j.size.Store(offset + int64(len(p)))
		grown()
	}
}

// output gives write two masked streams, and returns when all they were given is
// in the log.
func (j *journal) output(m *mask.Masker, write func(stdout, stderr io.Writer)) {
	j.pass(m, j.log.Step(), write)
}

// pass has write fill the step s of the log.
func (j *journal) pass(m *mask.Masker, s *spool.Step, write func(stdout, stderr io.Writer)) {
	stdout, stderr := m.Writer(s.Stdout), m.Writer(s.Stderr)
	write(stdout, stderr)
	// None of these need be looked at: the log keeps errors of the disk for its end,
	// and a step that was taken up again is asked whether it was the same.
	for _, c := range []io.Closer{stdout, stderr, s.Stdout, s.Stderr} {
		_ = c.Close()
	}
	s.Close()
}

// print writes text into the log, masked.
func (j *journal) print(m *mask.Masker, text string) {
	j.output(m, func(stdout, _ io.Writer) { _, _ = io.WriteString(stdout, text) })
}

// note writes lines of the builder's own, recognisable as such.
func (j *journal) note(m *mask.Masker, format string, args ...any) {
	start := ""
	if j.open.Load() {
		start = "\n"
	}
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n[velocity] ")
	j.print(m, start+"[velocity] "+text+"\n")
}

// reopenJournal takes up the log of an earlier process, which began then.
func reopenJournal(base string, began time.Time, o spool.Options, grown func()) (*journal, error) {
	j := &journal{}
	o.OnAppend = j.appended(grown)
	log, err := spool.Reopen(filepath.Dir(base), filepath.Base(base), began, o)
	if err != nil {
		return nil, err
	}
	j.log = log
	size, open := log.End()
	j.size.Store(size)
	j.open.Store(open)
	if size > 0 {
		grown()
	}
	return j, nil
}
