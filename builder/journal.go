package builder

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/velocity-ci/velocity/builder/mask"
	"github.com/velocity-ci/velocity/builder/report"
	"github.com/velocity-ci/velocity/builder/spool"
)

// A journal is the log of an attempt. Its parts are written one after the other:
// output of a process, or lines of the builder itself.
type journal struct {
	log  *spool.Log
	size atomic.Int64
	open atomic.Bool // the last line has no end yet

	lines *report.Lines // looks at the output of the step under way, unless nil
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

// A page is the part of a log that several streams write at the same time, line
// by line. Each stream is masked by itself.
type page struct {
	stdout, stderr io.Writer

	step   *spool.Step
	masker *mask.Masker
	ends   []io.Closer // first what is above, then what is below
}

// page gives write a page, and returns when all that its streams were given is
// in the log.
func (j *journal) page(m *mask.Masker, write func(p *page)) { j.pass(m, j.log.Step(), write) }

// pass has write fill the step s of the log.
func (j *journal) pass(m *mask.Masker, s *spool.Step, write func(p *page)) {
	p := &page{step: s, masker: m}
	p.stdout, p.stderr = p.open(j.watched(p.step.Stdout)), p.open(j.watched(p.step.Stderr))
	write(p)
	for _, c := range p.ends {
		// None of these need be looked at: the log keeps errors of the disk for its end,
		// and a step that was taken up again is asked whether it was the same.
		_ = c.Close()
	}
	p.step.Close()
}

// open puts the mask before a stream.
func (p *page) open(below io.WriteCloser) io.Writer {
	masked := p.masker.Writer(below)
	p.ends = append(p.ends, masked, below)
	return masked
}

// labelled is a further stream, each of whose lines begins with the label. It is
// called before anything is written.
func (p *page) labelled(label string) io.Writer {
	return p.open(&labeller{label: label, below: p.step.Stream()})
}

// A labeller puts a label before each line. It never fails.
type labeller struct {
	label string
	below io.WriteCloser
	open  bool // the last line has no end yet
}

func (l *labeller) Write(text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		if !l.open {
			line = append([]byte(l.label), line...)
		}
		l.open = line[len(line)-1] != '\n'
		_, _ = l.below.Write(line)
	}
	return len(text), nil
}

// Close ends the last line and the stream below.
func (l *labeller) Close() error {
	if l.open {
		_, _ = io.WriteString(l.below, "\n")
	}
	return l.below.Close()
}

// print writes text into the log, masked.
func (j *journal) print(m *mask.Masker, text string) {
	j.page(m, func(p *page) { _, _ = io.WriteString(p.stdout, text) })
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
