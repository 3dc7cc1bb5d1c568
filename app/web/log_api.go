package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/velocity-ci/velocity/app/api"
)

// printed is which log a request of the API is about, and what it holds. It answers
// for the request if there is none.
func (s *Server) printed(w http.ResponseWriter, r *http.Request) (of logKey, text []byte, ok bool) {
	b, ok := s.find(w, r)
	if !ok {
		return of, nil, false
	}
	t, ok := taskOf(b, r.PathValue("task"))
	if !ok {
		s.problem(w, http.StatusNotFound, fmt.Errorf("build %s has no task %q", b.ID, r.PathValue("task")))
		return of, nil, false
	}
	of = logKey{b.ID, t.Key, t.Attempt}
	if text := r.URL.Query().Get(api.ParamAttempt); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > t.Attempt {
			s.problem(w, http.StatusBadRequest, fmt.Errorf("attempt %q: there are 1 to %d", text, t.Attempt))
			return of, nil, false
		}
		of.attempt = n
	}
	text, err := s.Desk.Log(r.Context(), of.build, of.task, of.attempt)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err)
		return of, nil, false
	}
	if text == nil {
		s.problem(w, http.StatusNotFound, fmt.Errorf("task %s of build %s has no log here (%s)", t.Name, b.ID, t.State))
		return of, nil, false
	}
	return of, text, true
}

// logTimes tells when the lines of a log came: a mark at each line that came later
// than the one before it.
func (s *Server) logTimes(w http.ResponseWriter, r *http.Request) {
	of, text, ok := s.printed(w, r)
	if !ok {
		return
	}
	since, err := s.Record.LogTimes(r.Context(), of.build, of.task, of.attempt)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err)
		return
	}
	if since == nil {
		s.problem(w, http.StatusNotFound, errors.New("this log was stored without times"))
		return
	}
	marks := []api.Mark{}
	for i := range text {
		if i > 0 && text[i-1] != '\n' {
			continue
		}
		millis := since(int64(i)).Milliseconds()
		if len(marks) == 0 || marks[len(marks)-1].Millis != millis {
			marks = append(marks, api.Mark{Offset: int64(i), Millis: millis})
		}
	}
	s.reply(w, http.StatusOK, marks)
}
