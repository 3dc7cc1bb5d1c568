package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/roster"
)

// actRoutes are the lines of the table for what people do from pages. All that
// changes something is the POST of a form, and ends with the address of the page that
// shows what came of it.
func actRoutes() []Route {
	const one = "POST /builds/{id}/"
	return []Route{
		{Pattern: one + "rerun", Need: roster.Act, On: OnRepository, page: true, serve: form((*Front).rerunPressed)},
		{Pattern: one + "cancel", Need: roster.Act, On: OnRepository, page: true, serve: form((*Front).cancelPressed)},
		{Pattern: one + "approve", Need: roster.Act, On: OnRepository, page: true, serve: form((*Front).approvePressed)},
		{Pattern: "GET " + page.StartPath, Need: roster.Act, On: OnRepository, page: true, serve: (*Front).startPage},
		{Pattern: "POST " + page.StartPath, Need: roster.Act, On: OnRepository, page: true, serve: form((*Front).startPressed)},
		{Pattern: "GET " + askedPath + "{trigger}", Need: roster.Act, On: OnRepository, page: true, serve: (*Front).askedPage},
		{Pattern: "POST /builders/{name}/drain", Need: roster.Admin, On: OnServer, page: true, serve: form(turnPressed((*roster.Roster).Drain))},
		{Pattern: "POST /builders/{name}/resume", Need: roster.Admin, On: OnServer, page: true, serve: form(turnPressed((*roster.Roster).Resume))},
		{Pattern: "GET " + deliveriesPath, Need: roster.Admin, On: OnServer, page: true, serve: (*Front).deliveriesPage},
		{Pattern: "POST " + deliveriesPath + "/{key}/retry", Need: roster.Admin, On: OnServer, page: true, serve: form((*Front).retryPressed)},
	}
}

// askedPath is below which a page waits for what becomes of a trigger.
const askedPath = "/asked/"

// form makes a route of what a form asks for. It must have come from a page of this
// server: a browser would bring a session with what a page of others sends, too.
func form(serve func(*Front, http.ResponseWriter, *http.Request, *Server)) func(*Front, http.ResponseWriter, *http.Request, *Server) {
	return func(f *Front, w http.ResponseWriter, r *http.Request, s *Server) {
		if !f.sameOrigin(w, r) {
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin)) // where a connection has none, none is needed
		r.Body = http.MaxBytesReader(w, r.Body, largestBody)
		var large *http.MaxBytesError
		switch err := r.ParseForm(); {
		case errors.As(err, &large):
			f.pageProblem(w, r, http.StatusRequestEntityTooLarge, err)
		case err != nil:
			f.pageProblem(w, r, http.StatusBadRequest, errors.New("the form cannot be read"))
		default:
			serve(f, w, r, s)
		}
	}
}

// standsOn is the address of the page that a request came from: its own, or that on
// which its form stands, for there is nothing to see at the form's own.
func standsOn(r *http.Request) string {
	if r.Method != http.MethodPost {
		return r.URL.RequestURI()
	}
	if id := r.PathValue("id"); id != "" {
		return "/builds/" + url.PathEscape(id)
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return (&url.URL{Path: "/" + first, RawQuery: r.URL.RawQuery}).RequestURI()
}

// refusePressed says why what a form asked for was not done, and leads back to it.
func (f *Front) refusePressed(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	if status == http.StatusInternalServerError {
		f.Log.Error("not done", "path", r.URL.Path, "err", err)
		err = errors.New("the server could not do it; its log says why")
	}
	f.page(w, r, status, page.Problem{Status: http.StatusText(status), Message: err.Error(), Back: standsOn(r)})
}

// sayParam is the parameter by which a page is told what to say first. It says it of
// what it finds, so that nobody can have it say what is not so.
const sayParam = "said"

// Values of sayParam on the page of a build.
const (
	saidAsked    = "asked"
	saidCanceled = "canceled"
	saidApproved = "approved"
)

func toBuild(w http.ResponseWriter, r *http.Request, id build.ID, said string) {
	guarded(w)
	http.Redirect(w, r, page.BuildPath(id)+"?"+url.Values{sayParam: {said}}.Encode(), http.StatusSeeOther)
}

// whoActs is who does what a form asks for, for the record.
func whoActs(r *http.Request) string { return actor(r, "the server's user") }

func (f *Front) rerunPressed(w http.ResponseWriter, r *http.Request, s *Server) {
	b, ok := f.theBuild(w, r, s)
	if !ok {
		return
	}
	once, err := readOnce(r.PostFormValue(page.FieldOnce), f.Now())
	if err != nil {
		f.refusePressed(w, r, err)
		return
	}
	t, err := s.Desk.Rerun(r.Context(), once, api.Act{Build: b.ID.String(), Failed: r.PostFormValue("failed") != "", Actor: whoActs(r)})
	if err != nil {
		f.refusePressed(w, r, statusError{http.StatusConflict, err})
		return
	}
	f.asked(w, r, s, t)
}

func (f *Front) cancelPressed(w http.ResponseWriter, r *http.Request, s *Server) {
	b, ok := f.theBuild(w, r, s)
	if !ok {
		return
	}
	err := s.end(r.Context(), b, "canceled by "+whoActs(r))
	if err != nil && statusOf(err) != http.StatusConflict { // one that is over meanwhile says so on its page
		f.refusePressed(w, r, err)
		return
	}
	toBuild(w, r, b.ID, saidCanceled)
}

func (f *Front) approvePressed(w http.ResponseWriter, r *http.Request, s *Server) {
	b, ok := f.theBuild(w, r, s)
	if !ok {
		return
	}
	a := build.Approval{Commit: plan.Commit(r.PostFormValue(page.FieldCommit)), Digest: r.PostFormValue(page.FieldPlan), By: whoActs(r)}
	if err := s.let(r.Context(), b, a); err != nil && !approvedAs(b, a) {
		f.refusePressed(w, r, err)
		return
	}
	toBuild(w, r, b.ID, saidApproved)
}

// approvedAs reports whether what was to be approved was approved before.
func approvedAs(b *build.Build, a build.Approval) bool {
	return b.Approval != nil && b.Approval.Commit == a.Commit && b.Approval.Digest == a.Digest
}

// said is what the page of a build says first, to who has just done something.
func said(r *http.Request, b *build.Build) string {
	switch r.URL.Query().Get(sayParam) {
	case saidAsked:
		if b.Trigger.Request != "" && b.Trigger.Actor == whoActs(r) {
			return "You asked for this build."
		}
	case saidCanceled:
		switch {
		case b.State().Final() && b.Canceled == "":
			return fmt.Sprintf("Too late to cancel it: the build is over. It %s.", b.State())
		case b.State().Final():
			return "The build is over: " + b.Canceled + "."
		case b.Canceled != "":
			return "The build is being stopped: " + b.Canceled + "."
		}
	case saidApproved:
		if b.Approval != nil {
			return fmt.Sprintf("%s approved commit %s by plan %s.", b.Approval.By, b.Approval.Commit, b.Approval.Digest)
		}
	}
	return ""
}

// asked sends the browser to where what becomes of a trigger is told.
func (f *Front) asked(w http.ResponseWriter, r *http.Request, s *Server, t plan.Trigger) {
	s.Site.Wake()
	guarded(w)
	http.Redirect(w, r, askedPath+url.PathEscape(t.ID)+"?"+url.Values{api.ParamRepository: {s.Site.Identity()}}.Encode(), http.StatusSeeOther)
}

// answerWithin is how long a browser waits for what becomes of a trigger before it is
// told that it is not known yet.
const answerWithin = 10 * time.Second

func (f *Front) askedPage(w http.ResponseWriter, r *http.Request, s *Server) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	answer, ok, err := s.Architect.Answered(ctx, s.Site, r.PathValue("trigger"))
	v := page.Asked{Repository: s.Site.Called(), Note: answer.Note, Here: r.URL.RequestURI()}
	switch {
	case err != nil:
		v.Pending = true
	case !ok:
		v.Note = "it was dealt with before; what came of it is among the builds"
	case len(answer.Builds) > 0:
		toBuild(w, r, answer.Builds[0], saidAsked)
		return
	}
	f.page(w, r, http.StatusOK, v)
}
