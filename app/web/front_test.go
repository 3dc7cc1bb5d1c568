package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/roster"
	"github.com/velocity-ci/velocity/storage/seal"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A clerk is a desk with one build, number 7, whose log blocks if it shall.
type clerk struct {
	store   string
	reading chan struct{} // told when a log is asked for; nil if logs do not block
	printed string        // behind the first line of the log, which is the store's name

	mu    sync.Mutex
	asked []api.Start

	reruns int
}

func (c *clerk) build() *build.Build {
	return &build.Build{
		Request: build.Request{
			ID: build.ID{Store: c.store, Number: 7}, Name: "default",
			Trigger: plan.Trigger{Event: plan.EventManual, Ref: "refs/heads/main", Received: noon},
		},
		Created: noon, Started: noon, Finished: noon,
		Stages: []build.Stage{{Name: "s", Tasks: []build.Task{{
			Key: "s0t0", Name: "test", State: build.Succeeded, Attempt: 1,
		}}}},
	}
}

func (c *clerk) Start(_ context.Context, _ web.Once, s api.Start) (plan.Trigger, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Parameters["color"] == "grey" {
		return plan.Trigger{}, &web.ParametersError{Wrong: map[string]string{"color": "cannot be that"}, Err: errors.New("the color is wrong")}
	}
	c.asked = append(c.asked, s)
	return plan.Trigger{ID: "1"}, nil
}

func (c *clerk) Rerun(context.Context, web.Once, api.Act) (plan.Trigger, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reruns++
	return plan.Trigger{ID: "1"}, nil
}

func (c *clerk) Offer(_ context.Context, _, name string) (page.Offer, error) {
	o := page.Offer{Choices: []page.Choice{{Kind: plan.OfPipeline, Name: "default"}, {Kind: plan.OfBlueprint, Name: "unit"}}, Name: name}
	switch name {
	case "":
		o.Name = "default"
	case "unit":
		o.Fields = []page.Field{{Name: "color", Options: []string{"deep red=1", "blue"}}, {Name: "note", Defaults: []string{""}}}
	case "gone":
		return o, errors.New("there is none")
	}
	return o, nil
}

func (c *clerk) Find(_ context.Context, text string) (*build.Build, error) {
	if text == "7" || text == c.build().ID.String() {
		return c.build(), nil
	}
	return nil, storage.ErrNoBuild
}

func (c *clerk) Log(ctx context.Context, _ build.ID, _ string, _ int) ([]byte, error) {
	if c.reading == nil {
		return []byte(c.store), nil
	}
	c.reading <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (c *clerk) Plan(context.Context, build.ID) (*plan.Plan, error) { return nil, nil }

func (c *clerk) Moves(context.Context, build.ID) ([]build.Move, error) {
	return []build.Move{{Seq: 1, At: noon, Kind: build.Submit}}, nil
}

func (c *clerk) LogFrom(_ context.Context, _ build.ID, _ string, _ int, offset, limit int64) ([]byte, error) {
	text := c.store + "\n" + c.printed
	return []byte(text[min(offset, int64(len(text))):min(offset+limit, int64(len(text)))]), nil
}

func (c *clerk) LogTimes(context.Context, build.ID, string, int) (func(int64) time.Duration, error) {
	return func(offset int64) time.Duration { return time.Duration(offset) * time.Millisecond }, nil
}

// empty is a shelf with nothing on it.
type empty struct{}

func (empty) List(context.Context, *build.Build) ([]api.Artifacts, error) {
	return []api.Artifacts{}, nil
}
func (empty) Pack(context.Context, *build.Build, string, io.Writer) error         { return nil }
func (empty) File(context.Context, *build.Build, string, string, io.Writer) error { return nil }

// A rig is a front over two repositories, shop and bank, on a real port.
type rig struct {
	t      *testing.T
	front  *web.Front
	url    string
	http   *http.Client
	clerks map[string]*clerk
	sites  map[string]*architect.Site
	now    func() time.Time
	crowd  *crowd
	repo   *git.Repository // of the roster and the secrets
}

func newRig(t *testing.T) *rig {
	t.Helper()
	repo, err := git.MakeBare(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	now := func() time.Time { return noon }
	r := &rig{t: t, clerks: map[string]*clerk{}, sites: map[string]*architect.Site{}, now: now, crowd: &crowd{}, repo: repo}
	r.front = &web.Front{
		Roster: roster.Open(repo, func() time.Time { return r.now() }), Now: func() time.Time { return r.now() }, Log: log,
		Ready: func() []web.Condition { return nil }, Architect: "UARCHITECT", Address: "/nats",
		Secrets: seal.Open(repo, &keys{first: seal.NewKey()}, now),
		NATS:    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		Attempt: func(repository, token string) bool { return repository == "shop" && token == "under way" },

		Sessions:    &web.Sessions{Key: []byte("of this test")},
		People:      r.crowd,
		Description: describe,
	}
	a := architect.New(nil, log, now)
	for i, name := range []string{"shop", "bank"} {
		c := &clerk{store: strings.Repeat(string(rune('a'+i)), 6)}
		r.clerks[name] = c
		site := &architect.Site{Name: name}
		r.sites[name] = site
		r.front.Sites.Add(&web.Server{
			Architect: a, Site: site, Desk: c, Shelf: empty{}, Record: c, Encode: storage.EncodeBuild, Log: log,
			Builds:    func(context.Context, api.Query) ([]*build.Build, error) { return []*build.Build{c.build()}, nil },
			Retention: func(context.Context) (api.Retention, error) { return api.Retention{}, nil },
			Why:       func(context.Context, *build.Build, string) ([]api.Reason, error) { return []api.Reason{}, nil },
			Reads:     func(_ context.Context, token string) (bool, error) { return r.crowd.reads(name, token) },
			Lets: func(_ context.Context, p web.Person, need roster.Right) (bool, error) {
				return r.crowd.lets(name, p, need)
			},
			Git: func(w http.ResponseWriter, r *http.Request, results bool) {
				fmt.Fprint(w, name, " ", r.URL.Path, " ", results)
			},
		})
	}
	server := httptest.NewServer(r.front.Handler())
	t.Cleanup(server.Close)
	r.url, r.http = server.URL, server.Client()
	r.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return r
}

// token is a secret that opens what it says.
func (r *rig) token(rights roster.Right, repositories ...string) (string, roster.Token) {
	r.t.Helper()
	secret, made, err := r.front.Roster.Issue(r.t.Context(), roster.Token{Name: "ann", Rights: rights, Repositories: repositories})
	if err != nil {
		r.t.Fatal(err)
	}
	return secret, made
}

// ask sends a request and returns the status and the answer.
func (r *rig) ask(method, path, token, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return r.send(req)
}

// send sends a request, follows no redirect, and returns the status and the answer, or
// where it leads.
func (r *rig) send(req *http.Request) (int, string) {
	r.t.Helper()
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if to := resp.Header.Get("Location"); to != "" {
		return resp.StatusCode, to
	}
	return resp.StatusCode, string(text)
}

// A token of one repository finds nothing of another: not by id, number, name or
// in a list.
func TestScope(t *testing.T) {
	r := newRig(t)
	secret, _ := r.token(roster.Act, "bank")
	for path, want := range map[string]int{
		api.PathBuild + "bbbbbb-7":                   200,
		api.PathBuild + "7":                          200, // the bank's: it has one repository
		api.PathBuild + "aaaaaa-7":                   404,
		api.PathBuild + "7?repository=shop":          404,
		api.PathBuild + "aaaaaa-7/logs/s0t0":         404,
		api.PathBuild + "aaaaaa-7/follow":            404,
		api.PathBuilds + "?repository=shop":          404,
		api.PathBuild + "7/logs/test?attempt=2":      400,
		api.PathBuilds + "?stat=failed":              400,
		api.PathBuild + "7/logs/test?attempt=1":      200,
		api.PathBuild + "7/why/nosuch":               404,
		api.PathBuild + "%2e%2e%2fbuilds%2faaaaaa-7": 404,
	} {
		status, body := r.ask("GET", path, secret, "")
		if status != want || strings.Contains(body, "aaaaaa\"") {
			t.Errorf("%s: %d %s; want %d", path, status, body, want)
		}
		if strings.Contains(body, "aaaaaa") && status == 200 {
			t.Errorf("%s tells about another repository: %s", path, body)
		}
	}
	for path, body := range map[string]string{
		api.PathCancel + "?build=aaaaaa-7": `{"build":"aaaaaa-7"}`,
		api.PathRerun + "?repository=shop": `{"build":"7"}`,

		api.PathApprove + "?build=aaaaaa-7": `{"build":"aaaaaa-7"}`,
		api.PathStart + "?repository=shop":  `{}`,
	} {
		if status, answer := r.ask("POST", path, secret, body); status != 404 {
			t.Errorf("%s: %d %s; want 404", path, status, answer)
		}
	}
	if _, body := r.ask("GET", api.PathRepositories, secret, ""); body != "[\"bank\"]\n" {
		t.Errorf("repositories are %s", body)
	}
}

// Who may act may approve, what waits for it.
func TestApprove(t *testing.T) {
	r := newRig(t)
	reads, _ := r.token(roster.Read)
	acts, _ := r.token(roster.Act)
	for _, c := range []struct {
		token, body string
		status      int
		says        string
	}{
		{reads, `{"build":"aaaaaa-7"}`, 403, "this needs a token with the right act"},
		{acts, `{"build":"aaaaaa-8"}`, 404, "there is none of that id"},
		{acts, `{"build":"aaaaaa-7","commit":"c","plan":"p","by":"eve"}`, 409, "build aaaaaa-7 is over"},
	} {
		build := c.body[len(`{"build":"`):][:len("aaaaaa-7")]
		if status, body := r.ask("POST", api.PathApprove+"?build="+build, c.token, c.body); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s; want %d, %q", c.body, status, body, c.status, c.says)
		}
	}
}

// Somebody with all repositories must say which, or name a build by its id.
func TestWhichRepository(t *testing.T) {
	r := newRig(t)
	secret, _ := r.token(roster.Read)
	for path, want := range map[string]int{
		api.PathBuild + "7": 400, api.PathBuild + "bbbbbb-7": 200, api.PathBuild + "cccccc-7": 404,
		api.PathBuilds: 400, api.PathBuilds + "?repository=bank": 200,
	} {
		if status, body := r.ask("GET", path, secret, ""); status != want {
			t.Errorf("%s: %d %s; want %d", path, status, body, want)
		}
	}
}

// Who asked is the token's name, whatever the request claims.
func TestActorIsTheTokens(t *testing.T) {
	r := newRig(t)
	secret, _ := r.token(roster.Act, "bank")
	if status, body := r.ask("POST", api.PathStart, secret, `{"actor":"root"}`); status != http.StatusAccepted {
		t.Fatal(status, body)
	}
	if asked := r.clerks["bank"].asked; len(asked) != 1 || asked[0].Actor != "ann" {
		t.Errorf("asked %+v; want one by ann", asked)
	}
}

// A stream ends with its token, and without the line that says that all was sent.
func TestFollowEndsWithToken(t *testing.T) {
	r := newRig(t)
	r.clerks["shop"].reading = make(chan struct{})
	secret, made := r.token(roster.Read, "shop")
	admin, _ := r.token(roster.Admin)
	type ended struct {
		text string
		err  error
	}
	end := make(chan ended, 1)
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+api.PathBuild+"7/follow", nil)
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := r.http.Do(req)
		if err != nil {
			end <- ended{err: err}
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		end <- ended{string(text), err}
	}()
	<-r.clerks["shop"].reading
	if status, body := r.ask("DELETE", api.PathTokens+"/"+made.ID, admin, ""); status != http.StatusNoContent {
		t.Fatal(status, body)
	}
	got := <-end
	if got.err != nil || !strings.Contains(got.text, `"build"`) || strings.Contains(got.text, `"end"`) {
		t.Errorf("the stream was %q, %v; want a build and no end", got.text, got.err)
	}
}

func registration(t *testing.T, r *rig, name, token string, key byte) string {
	t.Helper()
	body, err := json.Marshal(api.Register{
		Token: token, Name: name, Public: "U" + strings.Repeat(string(key), 55), Curve: "X" + strings.Repeat("A", 55),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestRegister(t *testing.T) {
	r := newRig(t)
	admin, _ := r.token(roster.Admin)
	mint := func() string {
		status, body := r.ask("POST", api.PathRegistrations, admin, `{"seconds":3600}`)
		var m api.Minted
		if err := json.Unmarshal([]byte(body), &m); err != nil || status != http.StatusCreated {
			t.Fatal(status, body, err)
		}
		return m.Token
	}
	first, second := mint(), mint()
	status, told := r.ask("POST", api.PathRegister, "", registration(t, r, "m", first, 'A'))
	if want := `{"name":"m","architect":"UARCHITECT","nats":"/nats"}` + "\n"; status != 200 || told != want {
		t.Errorf("%d %s; want %s", status, told, want)
	}
	refusals := map[string]int{}
	for _, token := range []string{first, "", "vlr_nonsense", admin} {
		status, body := r.ask("POST", api.PathRegister, "", registration(t, r, "n", token, 'B'))
		refusals[fmt.Sprint(status, body)]++
	}
	if len(refusals) != 1 || refusals[`401{"message":"unknown, used, revoked or expired token"}`+"\n"]+refusals[`401 {"message":"unknown, used, revoked or expired token"}`+"\n"] != 4 {
		t.Errorf("refusals differ: %v", refusals)
	}
	if status, _ := r.ask("POST", api.PathRegister, "", registration(t, r, "m", second, 'B')); status != http.StatusConflict {
		t.Errorf("a taken name: %d", status)
	}
	if status, _ := r.ask("POST", api.PathRegister, "", registration(t, r, "-m", second, 'B')); status != http.StatusUnprocessableEntity {
		t.Errorf("a bad name: %d", status)
	}
	limited := false
	for range 30 {
		status, _ := r.ask("POST", api.PathRegister, "", "{}")
		limited = limited || status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("tries are not limited")
	}
	r.now = func() time.Time { return noon.Add(time.Minute) }
	if status, _ := r.ask("POST", api.PathRegister, "", registration(t, r, "n", second, 'B')); status != 200 {
		t.Errorf("a minute later: %d; want 200", status)
	}
}

func TestBodies(t *testing.T) {
	r := newRig(t)
	admin, _ := r.token(roster.Admin)
	for body, want := range map[string]int{
		`{"name":"` + strings.Repeat("x", 2<<20) + `"}`: http.StatusRequestEntityTooLarge,
		`{"nome":"x"}`:                    http.StatusBadRequest,
		`{"name":"x","rights":"read"} {}`: http.StatusBadRequest,
		`{"name":"x","rights":"root"}`:    http.StatusUnprocessableEntity,
		`{"name":"x","rights":"read"}`:    http.StatusCreated,
	} {
		if status, answer := r.ask("POST", api.PathTokens, admin, body); status != want {
			t.Errorf("%.40s: %d %s; want %d", body, status, answer, want)
		}
	}
}

// A fetch needs the token of an attempt that was given the repository, or one of
// the API that may read it.
func TestReady(t *testing.T) {
	r := newRig(t)
	broken := errors.New("secret detail")
	r.front.Ready = func() []web.Condition { return []web.Condition{{Name: "store", Err: broken}, {Name: "nats"}} }
	if status, body := r.ask("GET", "/readyz", "", ""); status != http.StatusServiceUnavailable || body != "store: not ok\nnats: ok\n" {
		t.Errorf("%d %q; want 503 and which, not why", status, body)
	}
	broken = nil
	if status, body := r.ask("GET", "/readyz", "", ""); status != http.StatusOK || body != "store: ok\nnats: ok\n" {
		t.Errorf("%d %q; want 200 and what is in order", status, body)
	}
	if status, _ := r.ask("GET", "/healthz", "", ""); status != http.StatusNoContent {
		t.Errorf("healthz: %d", status)
	}
}

// A token that is revoked between the look at it and the moment from which it can
// be cut off opens no stream.
func TestFollowLooksAgain(t *testing.T) {
	r := newRig(t)
	admin, _ := r.token(roster.Admin)
	secret, made, err := r.front.Roster.Issue(t.Context(), roster.Token{Name: "ann", Rights: roster.Read, Expires: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var looks atomic.Int32
	r.front.Now = func() time.Time { // asked once a request, after the first look at a token that expires
		if looks.Add(1) == 1 {
			if status, body := r.ask("DELETE", api.PathTokens+"/"+made.ID, admin, ""); status != http.StatusNoContent {
				t.Error(status, body)
			}
		}
		return noon
	}
	if status, body := r.ask("GET", api.PathBuild+"7/follow?repository=shop", secret, ""); status != http.StatusUnauthorized {
		t.Errorf("%d %s; want 401", status, body)
	}
}
