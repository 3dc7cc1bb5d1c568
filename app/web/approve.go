package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// approve lets a held build start. Who looked at another commit or plan than the
// build is of hears of it, and so does who comes too late.
func (s *Server) approve(w http.ResponseWriter, r *http.Request) {
	var ask api.Approval
	if !s.decode(w, r, &ask) {
		return
	}
	ask.By = actor(r, ask.By)
	if ask.By == "" {
		s.problem(w, http.StatusBadRequest, errors.New("who approves it?"))
		return
	}
	b, err := s.lookUp(r.Context(), ask.Build)
	if err != nil {
		s.problem(w, http.StatusNotFound, err)
		return
	}
	if err := s.let(r.Context(), b, build.Approval{Commit: plan.Commit(ask.Commit), Digest: ask.Plan, By: ask.By}); err != nil {
		s.problem(w, statusOf(err), err)
		return
	}
	ask.Build = b.ID.String()
	s.reply(w, http.StatusOK, ask)
}

// let approves a build. The error has a status.
func (s *Server) let(ctx context.Context, b *build.Build, a build.Approval) error {
	err := s.Architect.Approve(ctx, b.ID, a)
	var mismatch *build.MismatchError
	switch {
	case errors.Is(err, architect.ErrNoBuild):
		return statusError{http.StatusConflict, errors.New("build " + b.ID.String() + " is over")}
	case errors.Is(err, build.ErrNotHeld), errors.As(err, &mismatch):
		return statusError{http.StatusConflict, err}
	}
	return err
}
