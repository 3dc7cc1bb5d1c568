package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
)

// Bounds of what one page of a log shows.
const (
	linesAtOnce = 1000
	bytesAtOnce = 1 << 20   // the page ends with the line that reaches it
	readAtOnce  = 256 << 10 // bytes; more than the longest line that is shown
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
	return v.search(q, to)
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
