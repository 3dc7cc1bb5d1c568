package forgetest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// hookLimit is how long GitHub waits for the answer to a webhook.
const hookLimit = 10 * time.Second

// GitHubOptions say how a fake GitHub is made.
type GitHubOptions struct {
	// Dir is an existing folder, for the repositories.
	Dir string
	// Data is the folder of recordings (require.ForgeData); "" means that nothing is
	// held against the vendor's description, and Validated says so.
	Data string
	// Faults is what goes wrong; nil is nothing.
	Faults *Faults
	// Hook is where webhooks go to; it may be set later.
	Hook string
	// NoApp means that there is no App yet: the manifest flow makes it.
	NoApp bool
	// Permissions and Events are those of the App; nil is AppPermissions, AppEvents.
	Permissions map[string]string
	Events      []string
	// Writes is how many requests that change something an installation may send in
	// any minute, before they are too many (GitHub: about 80); 0 is no limit.
	Writes int
}

// AppPermissions are what the App of a fake may do unless it is told otherwise.
var AppPermissions = map[string]string{
	"metadata": "read", "contents": "read", "checks": "write", "statuses": "write",
	"pull_requests": "write", "issues": "write", "merge_queues": "read",
}

// AppEvents are what the App of a fake listens to unless it is told otherwise.
var AppEvents = []string{"push", "pull_request", "merge_group", "issue_comment", "repository", "check_run", "check_suite"}

// A GitHub is a fake one: a server with accounts, repositories and at most one App.
// Its methods are safe for concurrent use. Its sources are GitHub's own OpenAPI
// description and documentation; where they leave something open, it is as strict
// as any report of a user says that GitHub was.
//
// What it does not have: GraphQL, pushes of branches and tags by git clients, reading contents and
// comparing through the API (that is for git), and Actions.
type GitHub struct {
	// Clock is by which tokens of installations, limits and logs go. That of JWTs is
	// set by Skew.
	Clock Clock
	// Hooks sends the webhooks and has their log.
	Hooks *Sender

	dir      string
	server   *httptest.Server
	gate     *gate
	webhooks *Spec
	writes   int

	mu            sync.Mutex
	changed       bell
	skew          time.Duration
	last          int64 // number that was given out last
	app           *App
	codes         map[string]conversion
	accounts      map[string]*Account // by login in lower case
	repos         map[int64]*Repo
	installations map[int64]*Installation
	tokens        map[string]*token
	runs          map[int64]*run
	suites        map[suiteKey]*suite
	meters        map[int64]*meter // by installation; 0 is the App itself
	consents      consents
}

// multiSegment are the paths of GitHub's description whose last parameter has
// slashes.
var multiSegment = []string{
	"/repos/{owner}/{repo}/contents/{path}",
	"/repos/{owner}/{repo}/git/ref/{ref}",
	"/repos/{owner}/{repo}/git/matching-refs/{ref}",
}

// NewGitHub starts a fake GitHub. Close ends it.
func NewGitHub(o GitHubOptions) (*GitHub, error) {
	g := &GitHub{
		dir: o.Dir, writes: o.Writes,
		codes: map[string]conversion{}, accounts: map[string]*Account{}, repos: map[int64]*Repo{},
		installations: map[int64]*Installation{}, tokens: map[string]*token{},
		runs: map[int64]*run{}, suites: map[suiteKey]*suite{}, meters: map[int64]*meter{},
		consents: consents{given: map[string]consent{}},
		last:     1 << 31, // beyond 32 bits, as the numbers of today are
	}
	var rest *Spec
	if o.Data != "" {
		var err error
		folder := filepath.Join(o.Data, "openapi")
		if rest, err = LoadSpec(filepath.Join(folder, "github-rest-cut.json"), multiSegment...); err != nil {
			return nil, err
		}
		if g.webhooks, err = LoadSpec(filepath.Join(folder, "github-webhooks-cut.json")); err != nil {
			return nil, err
		}
	}
	g.gate = &gate{
		api: g.restAPI(), spec: rest, faults: o.Faults, now: g.Clock.Now,
		refuse: refuseInvalid, limit: g.refuseLimited, excuse: withoutFlaws,
	}
	g.Hooks = NewSender(o.Faults, hookLimit, g.Clock.Now)
	if !o.NoApp {
		if o.Permissions == nil {
			o.Permissions = AppPermissions
		}
		if o.Events == nil {
			o.Events = AppEvents
		}
		g.app = g.newApp("velocity-test", o.Permissions, o.Events, hook{URL: o.Hook, Secret: newSecret()})
	}
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	return g, nil
}

// Close ends the server and the sending of webhooks.
func (g *GitHub) Close() {
	g.Hooks.Close()
	g.server.Close()
}

// URL is the address for people, as https://github.com is; git's addresses are below
// it. The API is below it, too: as "/", and as "/api/v3/" like an Enterprise Server's.
func (g *GitHub) URL() string { return g.server.URL }

// Calls are all requests of the API so far, in the order in which they ended, and
// those of git. A path is that without "/api/v3", and "/repositories/ID" is told by
// name.
func (g *GitHub) Calls() []Call { return g.gate.Calls() }

// Violations are the requests that no client should have made, in words.
func (g *GitHub) Violations() []string { return g.gate.Violations() }

// Untrue are the answers and webhooks of the fake that do not fit GitHub's own
// description, in words. There are none.
func (g *GitHub) Untrue() []string { return g.gate.Untrue() }

// Validated reports whether requests are held against GitHub's description.
func (g *GitHub) Validated() bool { return g.gate.Validated() }

// Skew sets GitHub's clock ahead of the client's, as far as JWTs of the App and the
// Date of answers go.
func (g *GitHub) Skew(ahead time.Duration) {
	defer g.hold()()
	g.skew = ahead
}

// hold takes the lock; what it returns gives it back and wakes who waits.
func (g *GitHub) hold() func() {
	g.mu.Lock()
	return func() {
		g.changed.ring()
		g.mu.Unlock()
	}
}

// wait waits until something is so. The lock is held while ready looks.
func (g *GitHub) wait(ctx context.Context, what string, ready func() bool) error {
	for {
		g.mu.Lock()
		ok, changed := ready(), g.changed.next()
		g.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}

// id is a new number. The lock is held, or nobody else knows of g yet.
func (g *GitHub) id() int64 {
	g.last++
	return g.last
}

// serve sorts requests: pages and git for people's addresses, else the API.
func (g *GitHub) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	ahead := g.skew
	g.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	if path, enterprise := strings.CutPrefix(r.URL.Path, "/api/v3/"); enterprise {
		r = r.Clone(context.WithValue(r.Context(), prefixKey{}, "/api/v3"))
		r.URL.Path, r.URL.RawPath = "/"+path, strings.TrimPrefix(r.URL.RawPath, "/api/v3")
	}
	switch {
	case isOAuth(r.URL.Path):
		g.serveOAuth(w, r)
	case strings.Contains(r.URL.Path, ".git/"):
		g.serveGit(w, r)
	case strings.HasSuffix(r.URL.Path, "/settings/apps/new"):
		g.serveManifest(w, r)
	default:
		g.serveAPI(w, r)
	}
}

// prefixKey is where the prefix of the API that was used is kept.
type prefixKey struct{}

// newSecret is a random value that nobody guesses.
func newSecret() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// appKey is the key of all Apps in this process: making one takes a while.
var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // no randomness: nothing works
	}
	return key
})

// An Account is a user, an organisation or a bot.
type Account struct {
	ID    int64
	Login string
	Type  string // User, Organization or Bot
}

// Account is one by login, made as a user if there is none.
func (g *GitHub) Account(login string) Account {
	defer g.hold()()
	return *g.account(login)
}

// Organization makes an organisation.
func (g *GitHub) Organization(login string) Account {
	defer g.hold()()
	a := g.account(login)
	a.Type = "Organization"
	return *a
}

func (g *GitHub) account(login string) *Account {
	key := strings.ToLower(login)
	if g.accounts[key] == nil {
		kind := "User"
		if strings.HasSuffix(login, "[bot]") {
			kind = "Bot"
		}
		g.accounts[key] = &Account{ID: g.id(), Login: login, Type: kind}
	}
	return g.accounts[key]
}

// RenameAccount gives an account another login. Who takes the old one is somebody
// else.
func (g *GitHub) RenameAccount(login, next string) {
	defer g.hold()()
	a := g.account(login)
	delete(g.accounts, strings.ToLower(login))
	a.Login = next
	g.accounts[strings.ToLower(next)] = a
}

// repo finds a repository by its address; moved means that it has another one now.
func (g *GitHub) repo(owner, name string) (r *Repo, moved bool) {
	full := strings.ToLower(owner + "/" + name)
	for _, r := range g.repos {
		if strings.ToLower(r.fullName()) == full {
			return r, false
		}
	}
	for _, r := range g.repos {
		if slices.Contains(r.former, full) {
			return r, true
		}
	}
	return nil, false
}
