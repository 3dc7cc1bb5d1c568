package web

import (
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
)

// A livePiece is some lines of one step, as scripts are sent them.
type livePiece struct {
	Step  int        `json:"step"`
	Name  string     `json:"name"`
	Lines []liveLine `json:"lines"`
}

type liveLine struct {
	Number int         `json:"n"`
	Spans  [][2]string `json:"t,omitempty"` // classes, text
}

// liveEnd says how the task ended.
type liveEnd struct {
	State build.State `json:"state"`
	Mark  string      `json:"mark"`
}

// silence is how long a stream says nothing before it shows that it is still there.
const silence = 15 * time.Second

// logLive sends the lines of an attempt that come behind a place, until it is over.
// The id of each event is the place behind its last line.
func (f *Front) logLive(w http.ResponseWriter, r *http.Request, s *Server) {
	v, ok := f.theLog(w, r, s)
	if !ok {
		return
	}
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("from")
	}
	at, ok := page.ParsePlace(text)
	if !ok {
		f.pageProblem(w, r, http.StatusBadRequest, errors.New("from where on?"))
		return
	}
	out := events(w)
	defer out.done()
	if err := v.follow(r, out, &page.Cutter{Place: at}); err != nil {
		f.Log.Debug("follower left", "build", v.b.ID.String(), "task", v.task.Key, "err", err)
	}
}

func (v *logView) follow(r *http.Request, out *eventStream, c *page.Cutter) error {
	watch, here := v.s.Architect.Await(r.Context(), v.b.ID)
	if here {
		defer watch.Close()
	}
	if err := v.resume(c); err != nil {
		return err
	}
	beat := time.NewTicker(silence)
	defer beat.Stop()
	for b := v.b; ; {
		var changed <-chan struct{}
		over, left := !here, false
		if here {
			b, over, changed = watch.State() // before the log is read: then what it says to be over is all there
			left = watch.Left()
		}
		ended := over || v.ended(b)
		if err := v.send(out, c, b, ended); err != nil {
			return err
		}
		if ended {
			return out.send("end", c.String(), v.ending(b))
		}
		if left {
			return nil // without an end: whoever follows asks again
		}
		select {
		case <-changed:
		case <-beat.C:
			if err := out.beat(); err != nil {
				return err
			}
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// resume finds out whether the place is within a line that is too long to be shown.
func (v *logView) resume(c *page.Cutter) error {
	if c.Offset == 0 {
		return nil
	}
	before, err := v.read(c.Offset-1, 1)
	c.Skipping = len(before) == 1 && before[0] != '\n'
	return err
}

func (v *logView) ending(b *build.Build) liveEnd {
	t, ok := b.Task(v.task.Key)
	if !ok {
		return liveEnd{}
	}
	return liveEnd{State: t.State, Mark: page.Mark(t.State)}
}

// send sends what has come, step by step.
func (v *logView) send(out *eventStream, c *page.Cutter, b *build.Build, ended bool) error {
	task, ok := b.Task(v.task.Key)
	if !ok {
		return nil
	}
	for limit := settled(task, ended); ; {
		want := max(0, min(readAtOnce, limit-c.Offset))
		data, err := v.read(c.Offset, want)
		if err != nil {
			return err
		}
		lines := c.Take(data, ended && int64(len(data)) < want)
		for len(lines) > 0 {
			step := page.StepAt(task, lines[0].Offset)
			n := 1
			for n < len(lines) && page.StepAt(task, lines[n].Offset) == step {
				n++
			}
			id := c.Place
			if n < len(lines) {
				id = page.Place{Offset: lines[n].Offset, Number: lines[n].Number}
			}
			if err := out.send("lines", id.String(), piece(task, step, lines[:n])); err != nil {
				return err
			}
			lines = lines[n:]
		}
		if len(data) < readAtOnce {
			return nil
		}
	}
}

// settled is how far into a log it is known which step its lines are of. What is
// printed may come before the word that its step has begun.
func settled(t *build.Task, ended bool) int64 {
	if ended {
		return math.MaxInt64
	}
	known := int64(0)
	for i := range t.Steps {
		switch s := &t.Steps[i]; {
		case s.Started.IsZero():
		case s.State.Final():
			known = s.To
		default:
			known = math.MaxInt64
		}
	}
	return known
}

func piece(t *build.Task, step int, lines []page.Line) livePiece {
	p := livePiece{Step: step, Name: page.StepName(t, step), Lines: make([]liveLine, len(lines))}
	for i, line := range lines {
		p.Lines[i].Number = line.Number
		for _, s := range line.Shown() {
			p.Lines[i].Spans = append(p.Lines[i].Spans, [2]string{s.Class, s.Text})
		}
	}
	return p
}
