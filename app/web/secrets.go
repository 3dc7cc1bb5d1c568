package web

import (
	"errors"
	"net/http"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/storage/seal"
)

func (f *Front) secrets(w http.ResponseWriter, r *http.Request, _ *Server) {
	all, err := f.Secrets.List()
	if err != nil {
		f.secretProblem(w, err)
		return
	}
	known, ok := f.directory(w, r)
	if !ok {
		return
	}
	list := []api.Secret{}
	for _, e := range all {
		list = append(list, known.secret(e))
	}
	f.reply(w, http.StatusOK, list)
}

func (f *Front) setSecret(w http.ResponseWriter, r *http.Request, _ *Server) {
	var ask api.SetSecret
	if !decode(w, r, f.Log, &ask) {
		return
	}
	s := ask.Secret
	known, ok := f.directory(w, r)
	if !ok {
		return
	}
	var of Known
	if s.Repository != "" {
		var err error
		if of, err = known.find(s.Repository); err != nil {
			f.problem(w, statusOf(err), err)
			return
		}
	}
	if err := (grant.Binding{Refs: s.Refs, Events: s.Events}).Check(); err != nil {
		f.problem(w, http.StatusUnprocessableEntity, err)
		return
	}
	e, err := f.Secrets.Put(r.Context(), seal.Entry{
		Name: s.Name, Repository: of.Identity, Called: of.Name, Refs: s.Refs, Events: s.Events, Blueprints: s.Blueprints,
		AnyImage: s.AnyImage, By: actor(r, s.By),
	}, seal.NewSecret(ask.Value))
	if err != nil {
		f.secretProblem(w, err)
		return
	}
	f.Log.Info("secret set", "secret", e.Name, "repo", e.Repository, "number", e.Number, "by", e.By)
	f.reply(w, http.StatusCreated, known.secret(e))
}

func (f *Front) removeSecret(w http.ResponseWriter, r *http.Request, _ *Server) {
	name, of := r.PathValue("name"), r.URL.Query().Get(api.ParamOf)
	by := actor(r, "the server's user")
	known, ok := f.directory(w, r)
	if !ok {
		return
	}
	identity, unknown := of, error(nil)
	if of != "" {
		var one Known
		if one, unknown = known.find(of); unknown == nil {
			identity = one.Identity
		}
	}
	err := f.Secrets.Remove(r.Context(), identity, name, by) // also of one that is not known any more
	if errors.Is(err, seal.ErrNone) && unknown != nil {
		f.problem(w, statusOf(unknown), unknown)
		return
	}
	if err != nil {
		f.secretProblem(w, err)
		return
	}
	f.Log.Info("secret removed", "secret", name, "repo", identity, "by", by)
	w.WriteHeader(http.StatusNoContent)
}

func (f *Front) rotateSecrets(w http.ResponseWriter, r *http.Request, _ *Server) {
	var act api.Act
	if !decode(w, r, f.Log, &act) {
		return
	}
	by := actor(r, act.Actor)
	n, err := f.Secrets.Rotate(r.Context(), by)
	if err != nil {
		f.secretProblem(w, err)
		return
	}
	f.Log.Info("secrets sealed with a new key", "secrets", n, "by", by)
	f.reply(w, http.StatusOK, api.Rotated{Secrets: n})
}

// secretProblem answers with what went wrong.
func (f *Front) secretProblem(w http.ResponseWriter, err error) {
	var field *seal.FieldError
	switch {
	case errors.Is(err, seal.ErrNone):
		f.problem(w, http.StatusNotFound, err)
	case errors.Is(err, seal.ErrNoKey), errors.Is(err, seal.ErrUnopened):
		f.Log.Error("secrets do not open", "err", err)
		f.problem(w, http.StatusConflict, err)
	case errors.As(err, &field):
		f.problem(w, http.StatusUnprocessableEntity, err)
	default:
		f.Log.Error("secrets", "err", err)
		f.problem(w, http.StatusInternalServerError, errors.New("the server could not do it; its log says why"))
	}
}

// secret is a secret as it is told, with the repository as it is called now.
func (all directory) secret(e seal.Entry) api.Secret {
	s := Shown(e)
	if e.Repository != "" {
		of := all.bound(e.Repository, e.Called)
		s.Repository, s.Of = of.Name, &of
	}
	return s
}

// Shown is a secret as it is told.
func Shown(e seal.Entry) api.Secret {
	s := api.Secret{
		Name: e.Name, Repository: e.Repository, Refs: e.Refs, Events: e.Events, Blueprints: e.Blueprints,
		AnyImage: e.AnyImage, Number: e.Number, Set: e.Set, By: e.By,
	}
	if !e.Used.At.IsZero() {
		s.Used = &api.Use{At: e.Used.At, Attempt: e.Used.Attempt, Builder: e.Used.Builder}
	}
	return s
}
