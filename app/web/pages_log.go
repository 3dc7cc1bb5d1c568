package web

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
)

// Bounds of what one page of a log shows.
const (
	linesAtOnce = 1000
	bytesAtOnce = 1 << 20   // the page ends with the line that reaches it
	readAtOnce  = 256 << 10 // bytes; more than the longest line that is shown

	maxMatches = 200
	maxSearch  = 200 // bytes of what is looked for
)

// A logView is the log of one attempt that a request is about.
type logView struct {
	s       *Server
	b       *build.Build
	task    *build.Task
	attempt int
	read    reader
}

func (v *logView) key() logKey { return logKey{v.b.ID, v.task.Key, v.attempt} }

// ended reports whether nothing more will come, as the build stands.
func (v *logView) ended(b *build.Build) bool {
	t, ok := b.Task(v.task.Key)
	return !ok || t.State.Final() || t.Attempt > v.attempt || b.State().Final()
}

// theLog answers for the request if there is no such attempt.
func (f *Front) theLog(w http.ResponseWriter, r *http.Request, s *Server) (*logView, bool) {
	b, ok := f.theBuild(w, r, s)
	if !ok {
		return nil, false
	}
	t, ok := taskOf(b, r.PathValue("task"))
	if !ok {
		f.pageProblem(w, r, http.StatusNotFound, fmt.Errorf("build %s has no task %q", b.ID, r.PathValue("task")))
		return nil, false
	}
	v := &logView{s: s, b: b, task: t, attempt: max(t.Attempt, 1)}
	if text := r.URL.Query().Get("attempt"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > v.attempt {
			f.pageProblem(w, r, http.StatusNotFound, fmt.Errorf("there is no attempt %q of task %s", text, t.Name))
			return nil, false
		}
		v.attempt = n
	}
	v.read = func(offset, limit int64) ([]byte, error) {
		return s.Record.LogFrom(r.Context(), b.ID, t.Key, v.attempt, offset, limit)
	}
	return v, true
}

func (f *Front) logPage(w http.ResponseWriter, r *http.Request, s *Server) {
	v, ok := f.theLog(w, r, s)
	if !ok {
		return
	}
	shown := page.Log{Repository: s.Site.Called(), Build: v.b, Task: v.task, Attempt: v.attempt}
	if err := v.fill(r.URL.Query(), &shown); err != nil {
		f.broken(w, r, err)
		return
	}
	if shown.HasTimes = v.ended(v.b) && len(shown.Lines) > 0; shown.HasTimes && r.URL.Query().Get("times") != "" {
		since, err := s.Record.LogTimes(r.Context(), v.b.ID, v.task.Key, v.attempt)
		if err != nil {
			f.broken(w, r, err)
			return
		}
		if shown.Times = since != nil; shown.Times {
			for i := range shown.Lines {
				shown.Lines[i].Since = since(shown.Lines[i].Offset)
			}
		}
	}
	f.page(w, r, http.StatusOK, shown)
}

// fill puts the window that was asked for on the page: from a line on, or the end,
// which is what whoever follows wants to see.
func (v *logView) fill(q url.Values, to *page.Log) error {
	ended := v.ended(v.b)
	at, ok, err := v.begin(q, ended)
	if err != nil {
		return err
	}
	if !ok {
		to.None = v.none()
		return nil
	}
	c := page.Cutter{Place: at}
	limit, more := settled(v.task, ended), true
	for more && len(to.Lines) <= linesAtOnce && c.Offset < at.Offset+bytesAtOnce {
		want := max(0, min(readAtOnce, limit-c.Offset))
		data, err := v.read(c.Offset, want)
		if err != nil {
			return err
		}
		to.Lines = append(to.Lines, c.Take(data, ended && int64(len(data)) < want)...)
		more = len(data) == readAtOnce
	}
	if len(to.Lines) > linesAtOnce {
		to.Lines, more = to.Lines[:linesAtOnce], true
	}
	if len(to.Lines) == 0 && ended {
		to.None = v.none()
	}
	to.Follow, to.From = !ended && !more, c.Place
	v.neighbours(q, to, at, more)
	return v.search(q.Get("q"), to)
}

// begin is where the window begins. ok is false if there is no such line.
func (v *logView) begin(q url.Values, ended bool) (at page.Place, ok bool, err error) {
	line := 1
	if q.Get("line") != "" {
		line, _ = strconv.Atoi(q.Get("line"))
	} else if !ended || q.Has("end") {
		total, err := v.s.lines.total(v.key(), v.read)
		if err != nil {
			return at, false, err
		}
		line = max(1, total-linesAtOnce/2)
	}
	if line < 1 { // what is no number is 0
		return at, false, nil
	}
	return v.s.lines.find(v.key(), v.read, line)
}

// none says why there is nothing to see.
func (v *logView) none() string {
	said := string(v.task.State)
	if reason := v.b.TaskReason(v.task); reason != "" {
		said += ", " + reason
	}
	return "There is no such log here (" + said + ")."
}

// neighbours adds the addresses of the other windows.
func (v *logView) neighbours(q url.Values, to *page.Log, at page.Place, more bool) {
	timed := q.Get("times") != ""
	to.Toggle = v.address("line", at.Number, !timed)
	if at.Number > 1 {
		to.First = v.address("line", 1, timed)
		to.Previous = v.address("line", max(1, at.Number-linesAtOnce), timed)
	}
	if more && len(to.Lines) > 0 {
		to.Next = v.address("line", to.Lines[len(to.Lines)-1].Number+1, timed)
		to.Last = v.address("end", 1, timed)
	}
}

// address is the query of a window.
func (v *logView) address(what string, n int, timed bool) string {
	a := url.Values{"attempt": {strconv.Itoa(v.attempt)}, what: {strconv.Itoa(n)}}
	if timed {
		a.Set("times", "1")
	}
	return "?" + a.Encode()
}

// search looks for a text in all of the log.
func (v *logView) search(text string, to *page.Log) error {
	text = build.Clip(text, maxSearch)
	if text == "" {
		return nil
	}
	to.Search = &page.Search{Text: text}
	lower := strings.ToLower(text)
	for c := (page.Cutter{Place: page.Place{Number: 1}}); ; {
		data, err := v.read(c.Offset, readAtOnce)
		if err != nil {
			return err
		}
		for _, line := range c.Take(data, len(data) < readAtOnce) {
			if !line.Has(lower) {
				continue
			}
			if len(to.Search.Found) == maxMatches {
				to.Search.More = true
				return nil
			}
			to.Search.Found = append(to.Search.Found, page.Match{Line: line, Query: v.address("line", max(1, line.Number-20), false)})
		}
		if len(data) < readAtOnce {
			return nil
		}
	}
}

// logRaw sends a log as it was printed: never as a page that a browser would run.
func (f *Front) logRaw(w http.ResponseWriter, r *http.Request, s *Server) {
	v, ok := f.theLog(w, r, s)
	if !ok {
		return
	}
	data, err := v.read(0, blockSize)
	if err != nil {
		f.broken(w, r, err)
		return
	}
	guarded(w)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	name := fmt.Sprintf("%s.%s.%d.txt", v.b.ID, v.task.Key, v.attempt)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	for offset := int64(0); len(data) > 0; {
		if _, err := w.Write(data); err != nil {
			return // who has left does not need it
		}
		offset += int64(len(data))
		if data, err = v.read(offset, blockSize); err != nil {
			f.Log.Warn("log not sent", "build", v.b.ID.String(), "task", v.task.Key, "err", err)
			panic(http.ErrAbortHandler) // half of it must not look like all
		}
	}
}

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
