package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/velocity-ci/velocity/app"
	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/builder/require"
)

// A witness stands between a server and whoever asks it for API, and holds requests
// and answers against the description that the server itself gives.
type witness struct {
	url    string
	router routers.Router

	mu    sync.Mutex
	wrong []string
	seen  map[string]bool // operations and statuses: "builds 200"
}

// newWitness stands before a kiosk's server.
func newWitness(t *testing.T, k *kiosk) *witness {
	t.Helper()
	_, text := k.open(api.PathDescription)
	w := &witness{router: strictly(t, []byte(text)), seen: map[string]bool{}}
	to, err := url.Parse(k.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: w.answer,
	}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, api.Path) {
			w.request(r)
		}
		proxy.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// strictly is a description whose objects have the fields that it names and no
// others: what this version sends must be described, whatever later ones may add.
func strictly(t *testing.T, text []byte) routers.Router {
	t.Helper()
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	seal(doc)
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	const file = api.PathBuild + "{id}/artifacts/{task}/{path}" // whose slashes stay: no description can say so
	spec.Paths.Set(strings.Replace(file, "{path}", "{path:.+}", 1), spec.Paths.Value(file))
	spec.Paths.Delete(file)
	router, err := gorillamux.NewRouter(spec)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// seal allows no other fields wherever fields are named.
func seal(schema any) {
	switch s := schema.(type) {
	case []any:
		for _, one := range s {
			seal(one)
		}
	case map[string]any:
		for _, one := range s {
			seal(one)
		}
		if _, named := s["properties"].(map[string]any); named && s["type"] == "object" {
			s["additionalProperties"] = false
		}
	}
}

func (w *witness) note(r *http.Request, err error) {
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wrong = append(w.wrong, fmt.Sprintf("%s %s: %v", r.Method, r.URL, err))
	}
}

// input is what a request is by the description.
func (w *witness) input(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	r = r.Clone(r.Context())
	r.URL.Host, r.URL.Scheme = "", ""
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, parameters, err := w.router.FindRoute(r)
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, IncludeResponseStatus: true, MultiError: true,
		},
	}, err
}

// request judges a request.
func (w *witness) request(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.note(r, err)
	in, err := w.input(r, body)
	if err == nil {
		err = openapi3filter.ValidateRequest(r.Context(), in)
	}
	w.note(r, err)
}

// answer judges an answer, which it holds back until it is whole.
func (w *witness) answer(resp *http.Response) error {
	if !strings.HasPrefix(resp.Request.URL.Path, api.Path) {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	w.note(resp.Request, err)
	in, err := w.input(resp.Request, nil)
	w.note(resp.Request, err)
	if in.Route == nil {
		return nil
	}
	w.mu.Lock()
	w.seen[fmt.Sprint(in.Route.Operation.OperationID, " ", resp.StatusCode)] = true
	w.mu.Unlock()
	values := [][]byte{body}
	if stream := "application/x-ndjson"; resp.Header.Get("Content-Type") == stream {
		values = bytes.SplitAfter(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	}
	for _, value := range values {
		out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options}
		w.note(resp.Request, openapi3filter.ValidateResponse(resp.Request.Context(), out.SetBodyBytes(value)))
	}
	return nil
}

// bytesOf has kinds of answers judged that are not JSON: of streams each line is.
func bytesOf(t *testing.T) {
	raw := func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		text, err := io.ReadAll(body)
		return string(text), err
	}
	line := func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (value any, err error) {
		err = json.NewDecoder(body).Decode(&value)
		return value, err
	}
	for kind, decoder := range map[string]openapi3filter.BodyDecoder{"application/octet-stream": raw, "text/plain": raw, "application/x-ndjson": line} {
		before := openapi3filter.RegisteredBodyDecoder(kind)
		openapi3filter.RegisterBodyDecoder(kind, decoder)
		t.Cleanup(func() {
			if before == nil {
				openapi3filter.UnregisterBodyDecoder(kind)
				return
			}
			openapi3filter.RegisterBodyDecoder(kind, before)
		})
	}
}

// judge fails the test for what was not as described, and for operations that nobody
// used.
func (w *witness) judge(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, wrong := range w.wrong {
		t.Error(wrong)
	}
	for _, one := range want {
		if !w.seen[one] {
			t.Errorf("nobody was answered %s", one)
		}
	}
}

// shopOf is a kiosk with something to build, and something that never is.
func shopOf(t *testing.T) *kiosk {
	return newKiosk(t, map[string]string{
		"make": "artifacts: [dist]\nretries: {times: 1, backoff: 10ms}\n" +
			"steps: [{type: run, script: 'mkdir -p dist/sub; echo 1 >dist/sub/file; echo made; [ -e $HOME/twice ] || { touch $HOME/twice; exit 2; }'}]\n",
		"never": "labels: {gpu: \"nobody\"}\nsteps: [{type: run, command: \"true\"}]\n",
	})
}

// Whatever the commands send to a server and it answers is as described, and nothing
// is described that they do not use.
func TestCommandsSpeakAsDescribed(t *testing.T) {
	bytesOf(t)
	k := shopOf(t)
	w := newWitness(t, k)
	ask := func(in string, want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		status := app.Main(t.Context(), args, app.Streams{In: strings.NewReader(in), Out: &out, Err: &out},
			[]string{"HOME=" + k.root, "PATH=" + os.Getenv("PATH"), "VELOCITY_TOKEN=" + k.secret, "VELOCITY_SERVER=" + w.url})
		if status != want {
			t.Fatalf("velocity %s ended with %d: %s", strings.Join(args, " "), status, &out)
		}
		return out.String()
	}
	ask(k.secret+"\n", 0, "login", w.url)
	ask("", 0, "start", "make", "-f")
	ask("", 0, "builds", "--json", "--ref", "main", "--since", "1d", "--limit", "3")
	made := regexp.MustCompile(`\w{6}-\d+`).FindString(ask("", 0, "builds", "--name", "make"))
	ask("", 0, "show", made)
	for _, more := range [][]string{nil, {"make"}, {"s0t0", "--attempt", "1"}, {"make", "--times"}} {
		if said := ask("", 0, append([]string{"logs", made}, more...)...); !strings.Contains(said, "made\n") {
			t.Errorf("velocity logs %s printed %q", more, said)
		}
	}
	ask("", 0, "artifacts", made)
	ask("", 0, "artifacts", made, "make", "dist/sub/file", "--output", filepath.Join(k.root, "file"))
	ask("", 0, "artifacts", made, "make", "--all", "--directory", filepath.Join(k.root, "files"))
	never := k.start("never")
	for _, more := range [][]string{nil, {"never"}} {
		if said := ask("", 0, append([]string{"why", never}, more...)...); !strings.Contains(said, "never") {
			t.Errorf("velocity why %s printed %q", more, said)
		}
	}
	ask("", 2, "approve", made)
	ask("", 0, "cancel", never)
	ask("", 0, "rerun", made, "-f")

	token := regexp.MustCompile(`vlr_\w+`).FindString(ask("", 0, "builder", "token"))
	ask(token+"\n", 0, "builder", "register", w.url, "--name", "b1", "--state", filepath.Join(k.root, "b1"))
	for _, verb := range []string{"drain", "resume", "revoke"} {
		ask("", 0, "builder", verb, "b1")
	}
	ask("", 0, "builder", "list")
	id := regexp.MustCompile(`token (\w{12}) `).FindStringSubmatch(ask("", 0, "token", "create", "bob", "--rights", "read", "--repository", "shop"))[1]
	ask("", 0, "token", "list")
	ask("", 0, "token", "revoke", id)
	ask("valuable\n", 0, "secret", "set", "key", "--repository", "shop")
	ask("", 0, "secret", "list", "--site")
	ask("", 0, "secret", "rm", "key", "--repository", "shop")

	to, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Remote(to, nil, k.secret, "").FollowBuild(t.Context(), made, func(api.Update) error { return nil }); err != nil {
		t.Error(err)
	}
	w.judge(t, "self 200", "start 202", "followTrigger 200", "builds 200", "build 200", "log 200", "logTimes 200", "artifacts 200", "artifact 200", "pack 200",
		"why 200", "whyTask 200", "cancel 204", "rerun 202", "mint 201", "register 200", "drain 200", "resume 200", "revoke 200", "builders 200",
		"issue 201", "tokens 200", "withdraw 204", "setSecret 201", "secrets 200", "removeSecret 204", "followBuild 200")
}

// What is refused is refused as described.
func TestRefusalsAreAsDescribed(t *testing.T) {
	bytesOf(t)
	k := shopOf(t)
	w := newWitness(t, k)
	id := k.start("never")
	for _, c := range []struct {
		status int
		seen   string
		token  string
		do     func(*client.Client) error
	}{
		{401, "builders 401", "vla_none", func(c *client.Client) error { _, err := c.Builders(t.Context()); return err }},
		{404, "build 404", k.secret, func(c *client.Client) error { _, err := c.Build(t.Context(), "aaaaaa-9"); return err }},
		{400, "builds 400", k.secret, func(c *client.Client) error { _, err := c.Builds(t.Context(), api.Query{State: "odd"}); return err }},
		{400, "log 400", k.secret, func(c *client.Client) error { _, err := c.Log(t.Context(), id, "never", 7); return err }},
		{404, "drain 404", k.secret, func(c *client.Client) error { _, err := c.Turn(t.Context(), "b9", "drain", ""); return err }},
		{422, "issue 422", k.secret, func(c *client.Client) error {
			_, err := c.Issue(t.Context(), api.Token{Name: "x", Rights: "y"})
			return err
		}},
		{409, "approve 409", k.secret, func(c *client.Client) error {
			_, err := c.Approve(t.Context(), api.Approval{Build: id, Commit: "c", Plan: "p"})
			return err
		}},
		{422, "setSecret 422", k.secret, func(c *client.Client) error {
			_, err := c.SetSecret(t.Context(), api.SetSecret{Value: []byte("x")})
			return err
		}},
	} {
		to, err := url.Parse(w.url)
		if err != nil {
			t.Fatal(err)
		}
		err = c.do(client.Remote(to, nil, c.token, ""))
		var got *client.StatusError
		if !errors.As(err, &got) || got.Status != c.status {
			t.Errorf("%s: %v", c.seen, err)
		}
		w.judge(t, c.seen)
	}
}

// The examples of docs/api.md do what they say.
func TestExamplesOfTheAPI(t *testing.T) {
	_, err := exec.LookPath("curl")
	require.Have(t, "curl", err)
	bytesOf(t)
	k := shopOf(t)
	k.write("shop/.velocityci/pipelines/default.yml", "on: {manual: true}\nstages: [{name: all, blueprints: [make]}]\n")
	k.git("add", ".")
	k.git("commit", "-qm", "Build things")
	w := newWitness(t, k)
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-eu") //nolint:forbidigo // as people run it
	cmd.Dir, cmd.Stdin = folder, strings.NewReader(commandsOf(t, "docs/api.md"))
	cmd.Env = []string{"HOME=" + folder, "PATH=" + os.Getenv("PATH"), "VELOCITY_SERVER=" + w.url, "VELOCITY_TOKEN=" + k.secret}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range []string{`"name":"ann"`, `["shop"]`, `"trigger":"`, `{"end":true}`, `"state":"succeeded"`, "\nmade\n", "dist/sub/file", `"message":"`,
		"default: passing</title>", "<title>Builds of shop</title>", "succeeded: default on main</title>"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the examples printed no %s:\n%s", want, out)
		}
	}
	w.judge(t, "description 200", "repositories 200", "self 200", "start 202", "followTrigger 200", "build 200", "builds 200", "log 200", "artifact 200", "cancel 409")
}
