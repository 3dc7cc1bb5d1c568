package web

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"path"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
)

func (s *Server) artifacts(w http.ResponseWriter, r *http.Request) {
	b, ok := s.find(w, r)
	if !ok {
		return
	}
	all, err := s.Shelf.List(r.Context(), b)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err)
		return
	}
	s.reply(w, http.StatusOK, all)
}

// artifact sends one file of a task, or all of them as they are packed. What a
// build made is for storing, never for showing: it is anybody's who could push.
func (s *Server) artifact(w http.ResponseWriter, r *http.Request) {
	b, ok := s.find(w, r)
	if !ok {
		return
	}
	t, ok := taskOf(b, r.PathValue("task"))
	if !ok {
		s.problem(w, http.StatusNotFound, fmt.Errorf("build %s has no task %q", b.ID, r.PathValue("task")))
		return
	}
	of, err := s.keptBy(r, b, t)
	if err != nil {
		s.problem(w, statusOf(err), err)
		return
	}
	name, file := r.PathValue("path"), t.Key+".tar.zst"
	size := of.Packed
	if name != "" {
		one, ok := named(of.Files, name)
		if !ok {
			s.problem(w, http.StatusNotFound, fmt.Errorf("task %s of build %s kept no %q", t.Name, b.ID, name))
			return
		}
		size, file = one.Size, path.Base(name)
	}
	download(w, size)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file}))
	if name == "" {
		err = s.Shelf.Pack(r.Context(), b, t.Key, w)
	} else {
		err = s.Shelf.File(r.Context(), b, t.Key, name, w)
	}
	if err != nil {
		s.Log.Warn("artifact not sent", "build", b.ID.String(), "task", t.Key, "err", err)
		panic(http.ErrAbortHandler) // the length was said already: no answer could tell
	}
}

func (s *Server) keptBy(r *http.Request, b *build.Build, t *build.Task) (api.Artifacts, error) {
	all, err := s.Shelf.List(r.Context(), b)
	if err != nil {
		return api.Artifacts{}, err
	}
	for _, one := range all {
		if one.Task == t.Key && len(one.Files) > 0 {
			return one, nil
		}
	}
	return api.Artifacts{}, statusError{http.StatusNotFound, errors.New("task " + t.Name + " of build " + b.ID.String() + " has no artifacts here")}
}

func named(files []api.Artifact, name string) (api.Artifact, bool) {
	for _, file := range files {
		if file.Name == name {
			return file, true
		}
	}
	return api.Artifact{}, false
}
