package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/storage/roster"
	"github.com/velocity-ci/velocity/storage/seal"
)

// A Front is the server's one public port: the API over all repositories, and the
// ways of builders to the architect and to sources. Nothing is answered without a
// token but what the table of routes says.
type Front struct {
	Sites  Sites // those there are; the others are as if they were not there
	Roster *roster.Roster
	// Secrets are those of the site and of its repositories.
	Secrets *seal.Vault
	Now     func() time.Time
	Log     *slog.Logger

	// Ready lists what has to be in order for builds to be taken in.
	Ready func() []Condition
	// Metrics answers scrapes; nil if there are none.
	Metrics http.Handler
	// NATS takes the connections of builders, which prove who they are to it; nil
	// if they go elsewhere.
	NATS http.Handler
	// Known are the repositories of forges, also those that are not served now; nil
	// if there are none.
	Known func(ctx context.Context) ([]Known, error)
	// Attempt reports whether a token is that of an attempt under way that was
	// given the repository, by its identity; nil if there are none.
	Attempt func(identity, token string) bool
	// Blobs keeps artifacts and caches for attempts on other machines; nil if there
	// are none.
	Blobs *Blobs
	// Changed is told of a builder that was registered, drained, resumed or revoked; nil if
	// nobody needs to know.
	Changed func(builder string)
	// Members are the builders that are connected; nil if nobody knows.
	Members func() map[string]architect.Member
	// Architect is the public key of the signatures under assignments, Address
	// where builders connect, Authorities who signed the certificates there ("" for
	// those that every machine knows): what a new builder is told.
	Architect, Address, Authorities string
	// Reload says that NATS servers of others have to reload before they know what
	// changed about a builder.
	Reload bool

	// GitHub and GitLab take the deliveries of those forges; nil if there is none.
	GitHub, GitLab http.Handler

	// Deliveries is the log of what forges sent; nil if there is none.
	Deliveries DeliveryLog

	// Setup is the way to a GitHub App; nil if there is one, or shall be none.
	Setup *Setup

	// Streams is how many may be open at once under one token; 0 means DefaultStreams.
	Streams int
	// Patience is how long a browser may take to take one event; 0 means DefaultPatience.
	Patience time.Duration

	// Sessions are of people who look at pages; nil if nobody can sign in.
	Sessions *Sessions
	// People are those who sign in with forges; nil if nobody can that way.
	People People
	// Recheck is how often a forge is asked whether whoever follows something still may;
	// 0 means every minute.
	Recheck time.Duration

	// URL is how people reach this server; "" if only they know.
	URL string
	// Description is what Describe made; nil if it is not told.
	Description func() ([]byte, error)

	registrations, logins limiter
	guesses               limiter      // tokens that a forge refused
	strangers             atomic.Int32 // fetches under way of those who brought no token

	mu   sync.Mutex
	open map[string]map[*opening]bool // requests being answered, by their token's id
}

// DefaultStreams is enough for a team that shares a token, and bounds what one that
// was lost can hold open.
const DefaultStreams = 1000

// Anybody is what a route needs that checks for itself who asks, or tells
// nothing.
const Anybody roster.Right = "anybody"

// A Condition is something that has to be in order.
type Condition struct {
	Name string // that everybody may know
	Err  error  // what is not in order, for the server's log; nil if all is
}

// A Scope is what a route's right is asked for.
type Scope string

// The scopes.
const (
	OnServer     Scope = "server"     // the right, in whatever repositories
	OnRepository Scope = "repository" // the right in the one repository that the request is about
)

// A Route is one line of the table of all that the server answers. One that says
// nothing about a right is answered to nobody.
type Route struct {
	Pattern string // method and path, in the form of http.ServeMux
	Need    roster.Right
	On      Scope

	programs bool // not for people: whoever has a login on the forge could ask for it
	page     bool // for people: who asks is known by their session, and hears of problems on a page
	reader   bool // for programs that know names and passwords only: a token may come as password
	follow   bool // an answer that goes on: the token is looked at again once it can be cut off
	serve    func(f *Front, w http.ResponseWriter, r *http.Request, site *Server)
}

// Routes is the table.
func Routes() []Route {
	return slices.Concat(pageRoutes(), signInRoutes(), []Route{
		{Pattern: "GET /healthz", Need: Anybody, serve: (*Front).healthy},
		{Pattern: "GET /readyz", Need: Anybody, serve: (*Front).ready},
		{Pattern: "GET /nats", Need: Anybody, serve: (*Front).nats},
		{Pattern: "/git/{path...}", Need: Anybody, serve: (*Front).git},
		{Pattern: "PUT " + api.PathPacks + "{sum}", Need: Anybody, serve: asAttempt((*Front).putPack)},
		{Pattern: "PUT " + api.PathKept, Need: Anybody, serve: asAttempt((*Front).keepArtifacts)},
		{Pattern: "GET " + api.PathNeeded + "{n}", Need: Anybody, serve: asAttempt((*Front).needed)},
		{Pattern: "GET " + api.PathKeptCaches + "{name}", Need: Anybody, serve: asAttempt((*Front).cache)},
		{Pattern: "PUT " + api.PathKeptCaches + "{name}", Need: Anybody, serve: asAttempt((*Front).keepCache)},
		{Pattern: "POST " + api.PathRegister, Need: Anybody, serve: (*Front).register},
		{Pattern: "POST " + HooksOfGitHub, Need: Anybody, serve: deliveries(func(f *Front) http.Handler { return f.GitHub })},
		{Pattern: "POST " + HooksOfGitLab, Need: Anybody, serve: deliveries(func(f *Front) http.Handler { return f.GitLab })},
		{Pattern: "GET " + SetupPath, Need: Anybody, serve: (*Front).setup},
		{Pattern: "POST " + SetupPath, Need: Anybody, serve: (*Front).setup},
		{Pattern: "GET " + SetupCallback, Need: Anybody, serve: (*Front).setupBack},

		{Pattern: "GET /metrics", Need: roster.Read, On: OnServer, programs: true, serve: (*Front).metrics},
		{Pattern: "GET /badge/{path...}", Need: Anybody, serve: (*Front).badge},
		{Pattern: "GET " + page.FeedPath, Need: roster.Read, On: OnRepository, reader: true, serve: (*Front).feed},

		{Pattern: "GET " + api.PathDescription, Need: Anybody, serve: (*Front).description},
		{Pattern: "GET " + api.PathSelf, Need: roster.Read, On: OnServer, serve: (*Front).self},
		{Pattern: "GET " + api.PathRepositories, Need: roster.Read, On: OnServer, serve: (*Front).repositories},
		{Pattern: "GET " + api.PathBuilds, Need: roster.Read, On: OnRepository, serve: at((*Server).list)},
		{Pattern: "GET " + api.PathBuild + "{id}", Need: roster.Read, On: OnRepository, serve: at((*Server).show)},
		{Pattern: "GET " + api.PathBuild + "{id}/logs/{task}", Need: roster.Read, On: OnRepository, serve: at((*Server).log)},
		{Pattern: "GET " + api.PathBuild + "{id}/logs/{task}/times", Need: roster.Read, On: OnRepository, serve: at((*Server).logTimes)},
		{Pattern: "GET " + api.PathBuild + "{id}/artifacts", Need: roster.Read, On: OnRepository, serve: at((*Server).artifacts)},
		{Pattern: "GET " + api.PathBuild + "{id}/artifacts/{task}", Need: roster.Read, On: OnRepository, serve: at((*Server).artifact)},
		{Pattern: "GET " + api.PathBuild + "{id}/artifacts/{task}/{path...}", Need: roster.Read, On: OnRepository, serve: at((*Server).artifact)},
		{Pattern: "GET " + api.PathBuild + "{id}/why", Need: roster.Read, On: OnRepository, serve: at((*Server).why)},
		{Pattern: "GET " + api.PathBuild + "{id}/why/{task}", Need: roster.Read, On: OnRepository, serve: at((*Server).why)},
		{Pattern: "GET " + api.PathBuild + "{id}/follow", Need: roster.Read, On: OnRepository, follow: true, serve: at((*Server).followBuild)},
		{Pattern: "GET " + api.PathTrigger + "{id}/follow", Need: roster.Read, On: OnRepository, follow: true, serve: at((*Server).followTrigger)},

		{Pattern: "POST " + api.PathStart, Need: roster.Act, On: OnRepository, serve: at((*Server).start)},
		{Pattern: "POST " + api.PathRerun, Need: roster.Act, On: OnRepository, serve: at((*Server).rerun)},
		{Pattern: "POST " + api.PathCancel, Need: roster.Act, On: OnRepository, serve: at((*Server).cancel)},
		{Pattern: "POST " + api.PathApprove, Need: roster.Act, On: OnRepository, serve: at((*Server).approve)},

		{Pattern: "GET " + api.PathRetention, Need: roster.Admin, On: OnRepository, serve: at((*Server).retention)},
		{Pattern: "GET " + api.PathBuilders, Need: roster.Admin, On: OnServer, serve: (*Front).builders},
		{Pattern: "POST " + api.PathBuilders + "/{name}/drain", Need: roster.Admin, On: OnServer, serve: turn((*roster.Roster).Drain)},
		{Pattern: "POST " + api.PathBuilders + "/{name}/resume", Need: roster.Admin, On: OnServer, serve: turn((*roster.Roster).Resume)},
		{Pattern: "POST " + api.PathBuilders + "/{name}/revoke", Need: roster.Admin, On: OnServer, serve: turn((*roster.Roster).Revoke)},
		{Pattern: "POST " + api.PathRegistrations, Need: roster.Admin, On: OnServer, serve: (*Front).mint},
		{Pattern: "GET " + api.PathTokens, Need: roster.Admin, On: OnServer, serve: (*Front).tokens},
		{Pattern: "POST " + api.PathTokens, Need: roster.Admin, On: OnServer, serve: (*Front).issue},
		{Pattern: "DELETE " + api.PathTokens + "/{id}", Need: roster.Admin, On: OnServer, serve: (*Front).withdraw},
		{Pattern: "GET " + api.PathSecrets, Need: roster.Admin, On: OnServer, serve: (*Front).secrets},
		{Pattern: "POST " + api.PathSecrets, Need: roster.Admin, On: OnServer, serve: (*Front).setSecret},
		{Pattern: "POST " + api.PathRotate, Need: roster.Admin, On: OnServer, serve: (*Front).rotateSecrets},
		{Pattern: "DELETE " + api.PathSecrets + "/{name}", Need: roster.Admin, On: OnServer, serve: (*Front).removeSecret},
	})
}

// Where forges deliver.
const (
	HooksOfGitHub = "/hooks/github"
	HooksOfGitLab = "/hooks/gitlab"
)

// deliveries makes a route of what takes the deliveries of a forge.
func deliveries(of func(*Front) http.Handler) func(*Front, http.ResponseWriter, *http.Request, *Server) {
	return func(f *Front, w http.ResponseWriter, r *http.Request, _ *Server) {
		if h := of(f); h != nil {
			h.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	}
}

// at makes a route of what one site answers.
func at(serve func(*Server, http.ResponseWriter, *http.Request)) func(*Front, http.ResponseWriter, *http.Request, *Server) {
	return func(_ *Front, w http.ResponseWriter, r *http.Request, site *Server) { serve(site, w, r) }
}

// Handler answers all routes.
func (f *Front) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, route := range Routes() {
		mux.Handle(route.Pattern, f.guard(route))
	}
	return mux
}

func (f *Front) healthy(w http.ResponseWriter, _ *http.Request, _ *Server) {
	w.WriteHeader(http.StatusNoContent)
}

func (f *Front) ready(w http.ResponseWriter, _ *http.Request, _ *Server) {
	status, body := http.StatusOK, ""
	for _, c := range f.Ready() {
		word := "ok"
		if c.Err != nil {
			// Why it is not is for the server's log: anybody can ask here.
			f.Log.Warn("not ready", "condition", c.Name, "err", c.Err)
			status, word = http.StatusServiceUnavailable, "not ok"
		}
		body += c.Name + ": " + word + "\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // nobody is left to tell
}

func (f *Front) metrics(w http.ResponseWriter, r *http.Request, _ *Server) {
	if f.Metrics == nil {
		http.NotFound(w, r)
		return
	}
	f.Metrics.ServeHTTP(w, r)
}

func (f *Front) nats(w http.ResponseWriter, r *http.Request, _ *Server) {
	if f.NATS == nil { // they were registered with an address elsewhere
		http.Error(w, "builders connect to a NATS cluster: register this one again", http.StatusGone)
		return
	}
	f.NATS.ServeHTTP(w, r)
}

// Local answers by h to whoever may write the server's own files, and thus may do
// everything: those that come over the socket of its state.
func Local(h http.Handler) http.Handler {
	owner := caller{local: true, token: roster.Token{Rights: roster.Admin}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, owner)))
	})
}
