// Package web answers the architect's API, and shows pages. It acts only through the architect
// and the desk it is given.
package web

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A Desk makes triggers of what people ask for. They are durable when it returns.
type Desk interface {
	// Those with equal contents and the same Once are one, however often they come.
	// Errors: *ParametersError if values of parameters are missing or wrong.
	Start(ctx context.Context, once Once, s api.Start) (plan.Trigger, error)
	Rerun(ctx context.Context, once Once, act api.Act) (plan.Trigger, error)
	// Offer is what can be started at a ref, or at HEAD for "", with the fields of what
	// has a name, or of what is meant by none. With an error it holds what is known.
	Offer(ctx context.Context, ref, name string) (page.Offer, error)
	// Find resolves an id, a number or a commit to a build.
	Find(ctx context.Context, text string) (*build.Build, error)
	// Log reads what an attempt that is over printed; nothing if it has no log.
	Log(ctx context.Context, id build.ID, task string, attempt int) ([]byte, error)
}

// A Shelf is where the artifacts of a site's builds are.
type Shelf interface {
	// List lists what the tasks of a build kept and still have, in the plan's order.
	List(ctx context.Context, b *build.Build) ([]api.Artifacts, error)
	// Pack writes the artifacts of a task as they are kept, File one of them.
	Pack(ctx context.Context, b *build.Build, task string, w io.Writer) error
	File(ctx context.Context, b *build.Build, task, name string, w io.Writer) error
}

// A Record is what is known of a build beside how it stands.
type Record interface {
	// Plan is what it was to do; nil if no plan could be drawn.
	Plan(ctx context.Context, id build.ID) (*plan.Plan, error)
	// Moves are all that happened to it so far, the oldest first.
	Moves(ctx context.Context, id build.ID) ([]build.Move, error)
	// LogFrom reads at most limit bytes of what an attempt printed, from an offset
	// on: as far as it is there while it runs, nothing behind its end.
	LogFrom(ctx context.Context, id build.ID, task string, attempt int, offset, limit int64) ([]byte, error)
	// LogTimes finds when the bytes at offsets, which only grow, came, counted from
	// the log's beginning; nil if nobody knows.
	LogTimes(ctx context.Context, id build.ID, task string, attempt int) (func(offset int64) time.Duration, error)
}

// A Server answers for one site.
type Server struct {
	Architect *architect.Architect
	Site      *architect.Site
	Desk      Desk
	Shelf     Shelf
	Record    Record                             // nil where no pages are shown
	Encode    func(*build.Build) ([]byte, error) // a build in its stored form
	Log       *slog.Logger

	// Builds lists builds, the newest first.
	Builds func(ctx context.Context, q api.Query) ([]*build.Build, error)
	// Why tells of each task of a build that is not over, or of the one that is
	// named by key or name, what it waits for.
	Why func(ctx context.Context, b *build.Build, task string) ([]api.Reason, error)
	// Retention tells what the bounds on what is kept would take away now.
	Retention func(ctx context.Context) (api.Retention, error)
	// Git serves fetches from the repository at "/": its branches and tags, and the
	// results of its builds if those are asked for; nil if it does not.
	Git func(w http.ResponseWriter, r *http.Request, results bool)
	// Reads reports whether the forge of the repository lets whoever has a token of it
	// read the repository; for "", whether everybody may. nil if it is on no forge.
	Reads func(ctx context.Context, token string) (bool, error)
	// Lets reports whether a person who signed in with a forge may read the repository,
	// or act on it; acting is asked anew each time. nil if it is on no forge.
	Lets func(ctx context.Context, p Person, need roster.Right) (bool, error)

	lines  lineIndex
	relays relays
}

// largestBody bounds what a request may send.
const largestBody = 1 << 20

// Handler is the API.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api.PathWake, s.wake)
	mux.HandleFunc("POST "+api.PathStart, s.start)
	mux.HandleFunc("POST "+api.PathRerun, s.rerun)
	mux.HandleFunc("POST "+api.PathCancel, s.cancel)
	mux.HandleFunc("POST "+api.PathApprove, s.approve)
	mux.HandleFunc("GET "+api.PathTrigger+"{id}/follow", s.followTrigger)
	mux.HandleFunc("GET "+api.PathBuild+"{id}/follow", s.followBuild)
	mux.HandleFunc("GET "+api.PathBuild+"{id}/why", s.why)
	mux.HandleFunc("GET "+api.PathBuild+"{id}/why/{task}", s.why)
	return mux
}

func (s *Server) wake(w http.ResponseWriter, _ *http.Request) {
	s.Site.Wake()
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) start(w http.ResponseWriter, r *http.Request) {
	var ask api.Start
	if !s.decode(w, r, &ask) {
		return
	}
	ask.Actor = actor(r, ask.Actor)
	t, err := s.Desk.Start(r.Context(), Once{}, ask)
	s.accepted(w, t, err)
}

func (s *Server) rerun(w http.ResponseWriter, r *http.Request) {
	var act api.Act
	if !s.decode(w, r, &act) {
		return
	}
	act.Actor = actor(r, act.Actor)
	t, err := s.Desk.Rerun(r.Context(), Once{}, act)
	s.accepted(w, t, err)
}

func (s *Server) accepted(w http.ResponseWriter, t plan.Trigger, err error) {
	if err != nil {
		s.problem(w, http.StatusBadRequest, err)
		return
	}
	s.Site.Wake()
	s.reply(w, http.StatusAccepted, api.Accepted{Trigger: t.ID})
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	var act api.Act
	if !s.decode(w, r, &act) {
		return
	}
	b, err := s.lookUp(r.Context(), act.Build)
	if err != nil {
		s.problem(w, http.StatusNotFound, err)
		return
	}
	if err := s.end(r.Context(), b, cmp.Or(act.Reason, "canceled")); err != nil {
		s.problem(w, statusOf(err), err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// end cancels a build. The error has a status.
func (s *Server) end(ctx context.Context, b *build.Build, reason string) error {
	err := s.Architect.Cancel(ctx, b.ID, reason)
	if errors.Is(err, architect.ErrNoBuild) {
		return statusError{http.StatusConflict, errors.New("build " + b.ID.String() + " is over: it " + string(b.State()))}
	}
	return err
}

func (s *Server) decode(w http.ResponseWriter, r *http.Request, into any) bool {
	return decode(w, r, s.Log, into)
}

func (s *Server) problem(w http.ResponseWriter, status int, err error) {
	problem(w, s.Log, status, err)
}

func (s *Server) reply(w http.ResponseWriter, status int, body any) {
	reply(w, s.Log, status, body)
}
