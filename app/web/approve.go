package web

import (
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
	err = s.Architect.Approve(r.Context(), b.ID, build.Approval{Commit: plan.Commit(ask.Commit), Digest: ask.Plan, By: ask.By})
	var mismatch *build.MismatchError
	switch {
	case errors.Is(err, architect.ErrNoBuild):
		s.problem(w, http.StatusConflict, errors.New("build "+b.ID.String()+" is over"))
	case errors.Is(err, build.ErrNotHeld), errors.As(err, &mismatch):
		s.problem(w, http.StatusConflict, err)
	case err != nil:
		s.problem(w, http.StatusInternalServerError, err)
	default:
		ask.Build = b.ID.String()
		s.reply(w, http.StatusOK, ask)
	}
}
