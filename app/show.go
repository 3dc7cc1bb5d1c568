package app

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
)

// progress shows builds on out as they happen: live on a terminal, in plain lines
// elsewhere. The caller calls the function at the end.
func (c *cli) progress(out io.Writer) (*term.Progress, func()) {
	o := term.Options{Out: out, Now: c.now, NoColour: c.noColour || c.env["NO_COLOR"] != ""}
	stop := func() {}
	if o.Size = term.Screen(out, c.env["TERM"]); o.Size != nil {
		ticker := time.NewTicker(term.RedrawEvery)
		stop, o.Ticks = ticker.Stop, ticker.C
	}
	p := term.New(o)
	return p, func() { p.Close(); stop() }
}

// A show is an architect.Viewer that puts a build on the display.
type show struct {
	on        *term.Progress
	anonymous bool // the build's number is gone with this process: it is no name
}

// Build implements architect.Viewer.
func (s show) Build(b *build.Build) error {
	s.on.Update(s.named(b))
	return nil
}

// Log implements architect.Viewer.
func (s show) Log(b *build.Build, t *build.Task, _ int64, data []byte) error {
	from := term.Source{Build: b.ID, Key: t.Key, Name: t.Name, Attempt: t.Attempt}
	if s.anonymous {
		from.Build = build.ID{}
	}
	s.on.Log(from, data)
	return nil
}

// end shows the outcome and returns the build as it was shown.
func (s show) end(b *build.Build) *build.Build {
	b = s.named(b)
	s.on.End(b)
	return b
}

func (s show) named(b *build.Build) *build.Build {
	if s.anonymous {
		return nameless(b)
	}
	return b
}

// nameless is a build without its id, by which nothing can be asked where it was not
// recorded.
func nameless(b *build.Build) *build.Build {
	b = b.Clone()
	b.ID = build.ID{}
	return b
}

// A follower puts what a server tells on the display. It may be told things
// twice: by a server, and by the next one after that went away.
type follower struct {
	on *term.Progress

	mu      sync.Mutex
	answer  *api.Answer
	builds  map[string]*build.Build
	offsets map[term.Source]int64
	over    map[string]bool
}

func newFollower(on *term.Progress) *follower {
	return &follower{on: on, builds: map[string]*build.Build{}, offsets: map[term.Source]int64{}, over: map[string]bool{}}
}

// see takes an update.
func (f *follower) see(u api.Update) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case u.Answer != nil:
		f.answer = u.Answer
	case u.Build != nil:
		b, err := storage.DecodeBuild(u.Build)
		if err != nil {
			return fmt.Errorf("read what the server says: %w", err)
		}
		f.build(b)
	case u.Log != nil:
		f.log(u.Log)
	case u.Over != "":
		if b := f.builds[u.Over]; b != nil && !f.over[u.Over] {
			f.over[u.Over] = true
			f.on.End(b)
		}
	}
	return nil
}

// build shows how a build stands now. One that is over when it is first heard of
// is shown as it was before: its outcome comes after what it printed.
func (f *follower) build(b *build.Build) {
	id := b.ID.String()
	if f.over[id] {
		return
	}
	shown := b
	if f.builds[id] == nil && b.State().Final() {
		shown = begun(b)
	}
	f.builds[id] = b
	f.on.Update(shown)
}

// ended shows a build that was over before anybody could follow it.
func (f *follower) ended(b *build.Build) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := b.ID.String()
	if f.over[id] {
		return
	}
	f.build(b)
	f.on.End(b)
	f.over[id] = true
}

// begun is a build as it was when its tasks were under way.
func begun(b *build.Build) *build.Build {
	b = b.Clone()
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; t.Log.Bytes > 0 {
				t.State, t.Reason, t.Finished = build.Building, "", time.Time{}
			}
		}
	}
	return b
}

// log shows what is new of a piece of a log.
func (f *follower) log(l *api.Log) {
	b := f.builds[l.Build]
	if b == nil {
		return
	}
	t, ok := b.Task(l.Task)
	if !ok {
		return
	}
	from := term.Source{Build: b.ID, Key: t.Key, Name: t.Name, Attempt: l.Attempt}
	have := f.offsets[from]
	if l.Offset <= have && l.Offset+int64(len(l.Data)) > have {
		f.on.Log(from, l.Data[have-l.Offset:])
		f.offsets[from] = l.Offset + int64(len(l.Data))
	}
}

// failed reports whether any of the builds seen to their end failed.
func (f *follower) failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.over {
		if f.builds[id].State() == build.Failed {
			return true
		}
	}
	return false
}

// seen lists the builds seen to their end, in no order.
func (f *follower) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.over))
}
