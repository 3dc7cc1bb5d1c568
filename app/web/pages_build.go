package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
)

// buildsAtOnce is how many builds one page of a list shows.
const buildsAtOnce = 50

func (f *Front) buildsPage(w http.ResponseWriter, r *http.Request, s *Server) {
	v := page.Builds{Repository: s.Site.Called()}
	q, err := api.ParseQuery(r.URL.Query())
	if err != nil {
		f.pageProblem(w, r, http.StatusBadRequest, err)
		return
	}
	q.Limit = strconv.Itoa(buildsAtOnce + 1) // one more shows whether there are more
	v.Query = q
	v.List, err = s.Builds(r.Context(), q)
	if err != nil {
		v.Problem = err.Error()
	}
	if len(v.List) > buildsAtOnce {
		v.List = v.List[:buildsAtOnce]
		q.Limit, q.Before = "", v.List[buildsAtOnce-1].ID.String()
		v.Older = page.BuildsPath(v.Repository, q)
	}
	f.page(w, r, http.StatusOK, v)
}

// theBuild answers for the request if there is no such build.
func (f *Front) theBuild(w http.ResponseWriter, r *http.Request, s *Server) (*build.Build, bool) {
	b, err := s.lookUp(r.Context(), r.PathValue("id"))
	if err != nil {
		f.pageProblem(w, r, http.StatusNotFound, err)
	}
	return b, err == nil
}

// lookUp is a build by its id, number or commit. Whoever has just heard of one may
// come before it is recorded.
func (s *Server) lookUp(ctx context.Context, text string) (*build.Build, error) {
	b, err := s.Desk.Find(ctx, text)
	if err == nil {
		return b, nil
	}
	id, unreadable := build.ParseID(text)
	if unreadable != nil {
		return nil, err
	}
	watch, ok := s.Architect.Await(ctx, id)
	if !ok {
		return nil, err
	}
	defer watch.Close()
	if of, _ := watch.Of(); of != s.Site {
		return nil, err
	}
	b, _, _ = watch.State()
	return b, nil
}

// view is how a build stands, with what is known beside it. What cannot be found
// out is left out: the build matters more.
func (f *Front) view(ctx context.Context, s *Server, b *build.Build) page.Build {
	v := page.Build{Repository: s.Site.Called(), Build: b, Now: f.Now()}
	var err error
	if !b.State().Final() {
		if v.Why, err = s.Why(ctx, b, ""); err != nil {
			f.Log.Warn("reasons left out of a page", "build", b.ID.String(), "err", err)
		}
	}
	if keeps(b) {
		if v.Artifacts, err = s.Shelf.List(ctx, b); err != nil {
			f.Log.Warn("artifacts left out of a page", "build", b.ID.String(), "err", err)
		}
	}
	return v
}

// keeps reports whether a task of the build has kept something.
func keeps(b *build.Build) bool {
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if len(b.Stages[i].Tasks[j].Artifacts) > 0 {
				return true
			}
		}
	}
	return false
}

func (f *Front) buildPage(w http.ResponseWriter, r *http.Request, s *Server) {
	if b, ok := f.theBuild(w, r, s); ok {
		f.page(w, r, http.StatusOK, f.view(r.Context(), s, b))
	}
}

// Pace of a page that is kept up to date.
const (
	leastBetween = 200 * time.Millisecond // two states: nobody reads faster
	beatEvery    = 5 * time.Second        // what goes on grows on its page, and a connection that is gone shows
)

// buildLive tells how a build stands whenever that changes, until it is over. The id
// of each event is the number of the build's last move.
func (f *Front) buildLive(w http.ResponseWriter, r *http.Request, s *Server) {
	b, ok := f.theBuild(w, r, s)
	if !ok {
		return
	}
	out := f.events(w)
	defer out.done()
	watch, ok := s.Architect.Await(r.Context(), b.ID)
	if !ok { // it is over
		if f.tell(r, out, s, b) == nil {
			_ = out.send("end", "", b.State()) // who has left does not need it
		}
		return
	}
	defer watch.Close()
	shown, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for due := false; ; {
		b, over, changed := watch.State()
		if b.Seq != shown || due {
			if f.tell(r, out, s, b) != nil {
				return
			}
			shown, due = b.Seq, false
		}
		if over {
			_ = out.send("end", "", b.State())
			return
		}
		if watch.Left() || !pause(r.Context(), leastBetween) {
			return // without an end: whoever follows asks again
		}
		select {
		case <-changed:
		case <-beat.C:
			due = true
		case <-r.Context().Done():
			return
		}
	}
}

// tell sends a build as it stands.
func (f *Front) tell(r *http.Request, out *eventStream, s *Server, b *build.Build) error {
	var drawn bytes.Buffer
	if err := page.Live(&drawn, f.frame(r), f.view(r.Context(), s, b)); err != nil {
		f.Log.Error("page not drawn", "path", r.URL.Path, "err", err)
		return err
	}
	return out.send("build", strconv.Itoa(b.Seq), drawn.String())
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *Front) planPage(w http.ResponseWriter, r *http.Request, s *Server) {
	b, ok := f.theBuild(w, r, s)
	if !ok {
		return
	}
	p, err := s.Record.Plan(r.Context(), b.ID)
	if err != nil {
		f.broken(w, r, err)
		return
	}
	f.page(w, r, http.StatusOK, page.Plan{Repository: s.Site.Called(), Build: b, Plan: p})
}

// movesAtOnce is how many events one page shows.
const movesAtOnce = 500

func (f *Front) eventsPage(w http.ResponseWriter, r *http.Request, s *Server) {
	b, ok := f.theBuild(w, r, s)
	if !ok {
		return
	}
	moves, err := s.Record.Moves(r.Context(), b.ID)
	if err != nil {
		f.broken(w, r, err)
		return
	}
	first := 0
	if text := r.URL.Query().Get("from"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > len(moves) {
			f.pageProblem(w, r, http.StatusBadRequest, errors.New("there is no such event"))
			return
		}
		first = n - 1
	}
	v := page.Events{Repository: s.Site.Called(), Build: b, Moves: moves[first:min(len(moves), first+movesAtOnce)]}
	if first > 0 {
		v.Older = fmt.Sprintf("?from=%d", max(1, first+1-movesAtOnce))
	}
	if next := first + movesAtOnce; next < len(moves) {
		v.Newer = fmt.Sprintf("?from=%d", next+1)
	}
	f.page(w, r, http.StatusOK, v)
}
