package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/storage/roster"
)

// register enters a builder. Whatever is wrong with a token, the answer is the
// same.
func (f *Front) register(w http.ResponseWriter, r *http.Request, _ *Server) {
	if !f.registrations.allow(r, f.Now()) {
		f.problem(w, http.StatusTooManyRequests, errors.New("too many tries: wait a minute"))
		return
	}
	var ask api.Register
	if !decode(w, r, f.Log, &ask) {
		return
	}
	b, err := f.Roster.Register(r.Context(), ask.Token, roster.Builder{
		Name: ask.Name, Public: ask.Public, Curve: ask.Curve, Labels: ask.Labels, Executors: ask.Executors, Program: ask.Version,
	})
	if err != nil {
		f.rosterProblem(w, err)
		return
	}
	f.Log.Info("builder registered", "builder", b.Name, "registration", b.By)
	if f.Changed != nil {
		f.Changed(b.Name) // before it knows that it may connect
	}
	f.reply(w, http.StatusOK, api.Registered{Name: b.Name, Architect: f.Architect, NATS: f.Address, Authorities: f.Authorities})
}

// rosterProblem answers with what went wrong.
func (f *Front) rosterProblem(w http.ResponseWriter, err error) {
	var field *roster.FieldError
	switch {
	case errors.Is(err, roster.ErrRefused):
		f.problem(w, http.StatusUnauthorized, err)
	case errors.Is(err, roster.ErrTaken):
		f.problem(w, http.StatusConflict, err)
	case errors.Is(err, roster.ErrNone):
		f.problem(w, http.StatusNotFound, err)
	case errors.As(err, &field):
		f.problem(w, http.StatusUnprocessableEntity, err)
	default:
		f.Log.Error("roster", "err", err)
		f.problem(w, http.StatusInternalServerError, errors.New("the server could not do it; its log says why"))
	}
}

func (f *Front) builders(w http.ResponseWriter, r *http.Request, _ *Server) {
	list, err := f.listBuilders(r.Context())
	if err != nil {
		f.rosterProblem(w, err)
		return
	}
	f.reply(w, http.StatusOK, list)
}

// listBuilders lists all builders that are registered, also those that are revoked.
func (f *Front) listBuilders(ctx context.Context) ([]api.Builder, error) {
	all, err := f.Roster.Builders(ctx)
	if err != nil {
		return nil, err
	}
	here := map[string]architect.Member{}
	if f.Members != nil {
		here = f.Members()
	}
	list := []api.Builder{}
	for _, b := range all {
		list = append(list, api.Builder{
			Connection: connection(here, b.Name),
			Name:       b.Name, Public: b.Public, Labels: b.Labels, Executors: b.Executors, Version: b.Program,
			Untrusted: b.Untrusted, Drained: b.Drained, Revoked: b.Revoked, Registered: b.Registered,
		})
	}
	return list, nil
}

func connection(here map[string]architect.Member, builder string) *api.Connection {
	m, ok := here[builder]
	if !ok {
		return nil
	}
	return &api.Connection{Since: m.Since, Heard: m.Heard, Capacity: m.Capacity, Busy: m.Busy, Reason: m.Reason}
}

// turn makes a route of a change to one builder.
func turn(with func(r *roster.Roster, ctx context.Context, name, by string) error) func(*Front, http.ResponseWriter, *http.Request, *Server) {
	return func(f *Front, w http.ResponseWriter, r *http.Request, _ *Server) {
		var act api.Act
		if !decode(w, r, f.Log, &act) {
			return
		}
		name := r.PathValue("name")
		if err := with(f.Roster, r.Context(), name, actor(r, act.Actor)); err != nil {
			f.rosterProblem(w, err)
			return
		}
		if f.Changed != nil {
			f.Changed(name)
		}
		f.reply(w, http.StatusOK, api.Turned{Reload: f.Reload})
	}
}

func (f *Front) mint(w http.ResponseWriter, r *http.Request, _ *Server) {
	var ask api.Leave
	if !decode(w, r, f.Log, &ask) {
		return
	}
	seconds := min(max(ask.Seconds, 0), int64(2*roster.LongestRegistration/time.Second)) // what is too long is told, and nothing overflows
	secret, made, err := f.Roster.Mint(r.Context(), roster.Registration{
		Name: ask.Name, Labels: ask.Labels, Untrusted: ask.Untrusted, By: actor(r, "the server's user"),
	}, time.Duration(seconds)*time.Second)
	if err != nil {
		f.rosterProblem(w, err)
		return
	}
	f.reply(w, http.StatusCreated, api.Minted{Token: secret, Expires: made.Expires})
}

// self tells whose a token or a session is, so that a client can check it. What a
// person may is for their forge to say, of each repository.
func (f *Front) self(w http.ResponseWriter, r *http.Request, _ *Server) {
	c, _ := callerOf(r)
	if c.person != nil {
		f.reply(w, http.StatusOK, api.Token{Name: c.name(), Expires: c.until})
		return
	}
	if known, ok := f.directory(w, r); ok {
		f.reply(w, http.StatusOK, known.token(c.token))
	}
}

func (all directory) token(t roster.Token) api.Token {
	out := api.Token{
		ID: t.ID, Name: t.Name, Rights: string(t.Rights),
		Created: t.Created, Expires: t.Expires, By: t.By,
	}
	for i, identity := range t.Repositories {
		then := ""
		if i < len(t.Called) {
			then = t.Called[i]
		}
		b := all.bound(identity, then)
		out.Of, out.Repositories = append(out.Of, b), append(out.Repositories, b.Name)
	}
	return out
}

func (f *Front) tokens(w http.ResponseWriter, r *http.Request, _ *Server) {
	all, err := f.Roster.Tokens(r.Context())
	if err != nil {
		f.rosterProblem(w, err)
		return
	}
	known, ok := f.directory(w, r)
	if !ok {
		return
	}
	list := []api.Token{}
	for _, t := range all {
		list = append(list, known.token(t))
	}
	f.reply(w, http.StatusOK, list)
}

func (f *Front) issue(w http.ResponseWriter, r *http.Request, _ *Server) {
	var ask api.Token
	if !decode(w, r, f.Log, &ask) {
		return
	}
	known, ok := f.directory(w, r)
	if !ok {
		return
	}
	t := roster.Token{Name: ask.Name, Rights: roster.Right(ask.Rights), Expires: ask.Expires, By: actor(r, "the server's user")}
	for _, name := range ask.Repositories {
		one, err := known.find(name)
		if err != nil {
			f.problem(w, statusOf(err), err)
			return
		}
		t.Repositories, t.Called = append(t.Repositories, one.Identity), append(t.Called, one.Name)
	}
	secret, made, err := f.Roster.Issue(r.Context(), t)
	if err != nil {
		f.rosterProblem(w, err)
		return
	}
	f.reply(w, http.StatusCreated, api.Issued{Secret: secret, Token: known.token(made)})
}

func (f *Front) withdraw(w http.ResponseWriter, r *http.Request, _ *Server) {
	id := r.PathValue("id")
	if err := f.Roster.Withdraw(r.Context(), id, actor(r, "the server's user")); err != nil {
		f.rosterProblem(w, err)
		return
	}
	f.cut(id)
	w.WriteHeader(http.StatusNoContent)
}
