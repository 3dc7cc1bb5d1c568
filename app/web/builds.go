package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/roster"
)

func (f *Front) repositories(w http.ResponseWriter, r *http.Request, _ *Server) {
	c, _ := callerOf(r)
	list := []string{}
	for _, s := range f.Sites.list() {
		if c.token.May(roster.Read, s.Site.Identity()) {
			list = append(list, s.Site.Called())
		}
	}
	f.reply(w, http.StatusOK, list)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q, err := api.ParseQuery(r.URL.Query())
	if err != nil {
		s.problem(w, http.StatusBadRequest, err)
		return
	}
	builds, err := s.Builds(r.Context(), q)
	if err != nil && len(builds) == 0 {
		s.problem(w, http.StatusBadRequest, err)
		return
	}
	if err != nil { // some cannot be read: those who keep the server must know, and the rest is still there
		s.Log.Warn("builds left out of a list", "repo", s.Site.Called(), "err", err)
	}
	out := make([]json.RawMessage, len(builds))
	for i, b := range builds {
		if out[i], err = s.Encode(b); err != nil {
			s.problem(w, http.StatusInternalServerError, err)
			return
		}
	}
	s.reply(w, http.StatusOK, out)
}

// find answers for the request if there is no such build.
func (s *Server) find(w http.ResponseWriter, r *http.Request) (*build.Build, bool) {
	b, err := s.lookUp(r.Context(), r.PathValue("id"))
	if err != nil {
		s.problem(w, http.StatusNotFound, err)
	}
	return b, err == nil
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	b, ok := s.find(w, r)
	if !ok {
		return
	}
	data, err := s.Encode(b)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err)
		return
	}
	s.reply(w, http.StatusOK, json.RawMessage(data))
}

// log sends what an attempt printed, as it was printed: never as a page that a
// browser would run.
func (s *Server) log(w http.ResponseWriter, r *http.Request) {
	_, text, ok := s.printed(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if _, err := w.Write(text); err != nil {
		s.Log.Debug("log not read", "err", err)
	}
}

// taskOf finds a task by its key or name.
func taskOf(b *build.Build, text string) (*build.Task, bool) {
	if t, ok := b.Task(text); ok {
		return t, true
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; t.Name == text {
				return t, true
			}
		}
	}
	return nil, false
}

func (s *Server) why(w http.ResponseWriter, r *http.Request) {
	b, ok := s.find(w, r)
	if !ok {
		return
	}
	task := r.PathValue("task")
	if task != "" {
		t, ok := taskOf(b, task)
		if !ok {
			s.problem(w, http.StatusNotFound, errors.New("build "+b.ID.String()+" has no such task"))
			return
		}
		task = t.Key
	}
	reasons, err := s.Why(r.Context(), b, task)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err)
		return
	}
	s.reply(w, http.StatusOK, reasons)
}
