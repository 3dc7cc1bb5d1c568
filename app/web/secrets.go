package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/storage/seal"
)

func (f *Front) secrets(w http.ResponseWriter, _ *http.Request, _ *Server) {
	all, err := f.Secrets.List()
	if err != nil {
		f.secretProblem(w, err)
		return
	}
	list := []api.Secret{}
	for _, e := range all {
		list = append(list, Shown(e))
	}
	f.reply(w, http.StatusOK, list)
}

func (f *Front) setSecret(w http.ResponseWriter, r *http.Request, _ *Server) {
	var ask api.SetSecret
	if !decode(w, r, f.Log, &ask) {
		return
	}
	s := ask.Secret
	if s.Repository != "" && !f.serves(s.Repository) {
		f.problem(w, http.StatusNotFound, fmt.Errorf("there is no repository %q here", s.Repository))
		return
	}
	if err := (grant.Binding{Refs: s.Refs, Events: s.Events}).Check(); err != nil {
		f.problem(w, http.StatusUnprocessableEntity, err)
		return
	}
	e, err := f.Secrets.Put(r.Context(), seal.Entry{
		Name: s.Name, Repository: s.Repository, Refs: s.Refs, Events: s.Events, Blueprints: s.Blueprints, By: actor(r, s.By),
	}, seal.NewSecret(ask.Value))
	if err != nil {
		f.secretProblem(w, err)
		return
	}
	f.Log.Info("secret set", "secret", e.Name, "repo", e.Repository, "number", e.Number, "by", e.By)
	f.reply(w, http.StatusCreated, Shown(e))
}

// serves reports whether there is a repository of that name. A front without any
// is that of an office while no server runs: which there will be is not known.
func (f *Front) serves(name string) bool {
	all := f.Sites.list()
	return len(all) == 0 || slices.ContainsFunc(all, func(s *Server) bool { return s.Site.Called() == name })
}

func (f *Front) removeSecret(w http.ResponseWriter, r *http.Request, _ *Server) {
	name, of := r.PathValue("name"), r.URL.Query().Get(api.ParamOf)
	by := actor(r, "the server's user")
	if err := f.Secrets.Remove(r.Context(), of, name, by); err != nil {
		f.secretProblem(w, err)
		return
	}
	f.Log.Info("secret removed", "secret", name, "repo", of, "by", by)
	w.WriteHeader(http.StatusNoContent)
}

// secretProblem answers with what went wrong.
func (f *Front) secretProblem(w http.ResponseWriter, err error) {
	var field *seal.FieldError
	switch {
	case errors.Is(err, seal.ErrNone):
		f.problem(w, http.StatusNotFound, err)
	case errors.As(err, &field):
		f.problem(w, http.StatusUnprocessableEntity, err)
	default:
		f.Log.Error("secrets", "err", err)
		f.problem(w, http.StatusInternalServerError, errors.New("the server could not do it; its log says why"))
	}
}

// Shown is a secret as it is told.
func Shown(e seal.Entry) api.Secret {
	s := api.Secret{
		Name: e.Name, Repository: e.Repository, Refs: e.Refs, Events: e.Events, Blueprints: e.Blueprints,
		Number: e.Number, Set: e.Set, By: e.By,
	}
	if !e.Used.At.IsZero() {
		s.Used = &api.Use{At: e.Used.At, Attempt: e.Used.Attempt, Builder: e.Used.Builder}
	}
	return s
}
