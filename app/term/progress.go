// Package term shows builds to people: as they happen, on a terminal or as plain
// lines for pipes and git hooks, and afterwards as tables and pages.
//
// It trusts nothing it prints: names come from repositories and logs from the
// programs they run, so whatever could steer a terminal is taken out, except
// colours in logs. Secrets must have been masked before.
package term

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// Options say where and how progress is shown.
type Options struct {
	Out      io.Writer        // written to by one goroutine at a time, in whole lines
	Now      func() time.Time // for what is still under way
	NoColour bool             // not even those that programs print

	// Size makes the display live: it gives the terminal's columns and rows, and
	// is asked before every redraw. Nil means plain lines.
	Size func() (columns, rows int)
	// Ticks tells a live display to redraw. A time.Ticker of RedrawEvery does.
	Ticks <-chan time.Time
}

// RedrawEvery is the pace at which a live display moves.
const RedrawEvery = time.Second / 20

// A Source is the attempt that log bytes come from.
type Source struct {
	Build   build.ID // may be zero: a build that is not recorded
	Key     string   // of the task
	Name    string   // of the task
	Attempt int
}

// A Progress shows builds as they happen. It is safe for concurrent use. Errors
// of its writer end the display and nothing else: a reader who went away must
// not end a build.
type Progress struct {
	mu      sync.Mutex
	out     *output
	face    face
	builds  map[build.ID]*build.Build // last seen; those that have not ended
	order   []build.ID                // of builds, as they came
	several bool                      // more than one build was seen at once
	streams map[Source]*stream

	closing chan struct{}
	done    sync.WaitGroup
}

// A face is one of the two ways to show progress. It is called with the lock held.
type face interface {
	// moved shows what is new in b; prev is nil the first time.
	moved(prev, b *build.Build)
	// log shows complete lines of a task.
	log(from Source, lines []byte)
	// ended shows the outcome.
	ended(b *build.Build)
	// redraw is called at every tick.
	redraw()
	// close leaves the terminal as it was.
	close()
}

// New begins a display, which ends with Close.
func New(o Options) *Progress {
	p := &Progress{
		out:     &output{to: o.Out},
		builds:  map[build.ID]*build.Build{},
		streams: map[Source]*stream{},
		closing: make(chan struct{}),
	}
	if o.Size == nil {
		p.face = &plain{p: p, colours: !o.NoColour, begun: map[Source]bool{}}
		return p
	}
	p.face = &live{p: p, size: o.Size, now: o.Now, style: style{on: !o.NoColour}}
	p.done.Add(1)
	go p.animate(o.Ticks)
	return p
}

func (p *Progress) animate(ticks <-chan time.Time) {
	defer p.done.Done()
	for {
		select {
		case <-p.closing:
			return
		case <-ticks:
			p.mu.Lock()
			p.face.redraw()
			p.mu.Unlock()
		}
	}
}

// Update shows what changed in a build since it was last seen. Snapshots may be
// left out; b must not change any more. At most one build may have no id.
func (p *Progress) Update(b *build.Build) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.update(b)
}

func (p *Progress) update(b *build.Build) {
	prev := p.builds[b.ID]
	if prev == nil {
		p.order = append(p.order, b.ID)
		p.several = p.several || len(p.order) > 1
	}
	p.builds[b.ID] = b
	p.flushEnded(b)
	p.face.moved(prev, b)
}

// Log shows what a task printed. Bytes may be cut anywhere and are not kept.
func (p *Progress) Log(from Source, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.streams[from]
	if s == nil {
		s = &stream{}
		p.streams[from] = s
	}
	s.add(data, func(lines []byte) { p.face.log(from, lines) })
}

// End shows a build's outcome: its last Update is included. Later calls for it
// begin a new display of the same build.
func (p *Progress) End(b *build.Build) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.update(b)
	p.flush(func(from Source) bool { return from.Build == b.ID })
	p.face.ended(b)
	p.forget(b.ID)
}

// Close ends the display and gives the terminal back. It is an error to use the
// Progress afterwards; a second Close does nothing.
func (p *Progress) Close() {
	p.mu.Lock()
	if p.closing == nil {
		p.mu.Unlock()
		return
	}
	close(p.closing)
	p.mu.Unlock()
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = nil
	p.flush(func(Source) bool { return true })
	p.face.close()
}

// flushEnded completes the last line of attempts that are over, before their
// outcome is shown.
func (p *Progress) flushEnded(b *build.Build) {
	p.flush(func(from Source) bool {
		t, ok := b.Task(from.Key)
		return from.Build == b.ID && ok && (t.State.Final() || t.Attempt > from.Attempt)
	})
}

func (p *Progress) flush(which func(Source) bool) {
	for from, s := range p.streams {
		if len(s.partial) > 0 && which(from) {
			s.flush(func(lines []byte) { p.face.log(from, lines) })
		}
	}
}

func (p *Progress) forget(id build.ID) {
	delete(p.builds, id)
	for from := range p.streams {
		if from.Build == id {
			delete(p.streams, from)
		}
	}
	for i, other := range p.order {
		if other == id {
			p.order = append(p.order[:i], p.order[i+1:]...)
			return
		}
	}
}

// prefixed reports whether lines of this task need its name: others may print
// at the same time.
func (p *Progress) prefixed(from Source) bool {
	if p.several {
		return true
	}
	b := p.builds[from.Build]
	if b == nil {
		return false
	}
	tasks := 0
	for _, s := range b.Stages {
		tasks = max(tasks, len(s.Tasks))
	}
	return tasks > 1
}

// prefix begins each line of a task's log.
func (p *Progress) prefix(from Source) string {
	if p.several {
		return p.label(from.Build) + Clean(from.Name) + " | "
	}
	return Clean(from.Name) + " | "
}

// label tells builds apart when there are several.
func (p *Progress) label(id build.ID) string {
	if !p.several || id.Zero() {
		return ""
	}
	return id.String() + " "
}

// title is how a build is called: its id, if it has one, and its name.
func title(b *build.Build) string {
	if b.ID.Zero() {
		return Clean(b.Name)
	}
	return fmt.Sprintf("%s %s", b.ID, Clean(b.Name))
}

// An output stops at its first error.
type output struct {
	to     io.Writer
	failed bool
}

func (o *output) write(p []byte) {
	if o.failed || len(p) == 0 {
		return
	}
	_, err := o.to.Write(p)
	o.failed = err != nil
}
