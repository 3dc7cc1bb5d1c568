package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/builder/require"
)

// A village is a town beside a fake GitLab with one project, in which ann is a
// Developer and the server's token is a Maintainer's. The server is reached by a road
// that stays where it is when the server starts anew.
type village struct {
	*town
	lab     *forgetest.GitLab
	project *forgetest.Project
	token   *forgetest.LabToken
	road    *httptest.Server
	at      atomic.Pointer[url.URL] // where the road leads
}

// newVillage is one whose server runs and whose project is connected, without builders.
func newVillage(t *testing.T, o forgetest.GitLabOptions, config ...string) *village {
	t.Helper()
	w := foundVillage(t, o)
	w.settle(config...)
	w.serve()
	w.connect("group/world")
	return w
}

// foundVillage makes the forge, and no server. The default branch has the pipeline,
// and nothing of it was ever built.
func foundVillage(t *testing.T, o forgetest.GitLabOptions) *village {
	t.Helper()
	t.Parallel() // it has its own of everything
	o.Dir, o.Data = t.TempDir(), require.ForgeData(t)
	lab, err := forgetest.NewGitLab(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &village{town: &town{t: t, home: t.TempDir(), said: newSpeech(), gateway: newGateway(t)}, lab: lab}
	w.wall()
	w.road = httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(w.at.Load()) }})
	t.Cleanup(w.ends)
	w.project = lab.CreateProject(t, "group/world", forgetest.ProjectOptions{})
	w.project.Member("velocity", 40, time.Time{})
	w.project.Member("ann", 30, time.Time{})
	w.token = lab.Token("velocity", "api")
	w.push("main", w.pipeline())
	return w
}

// ends ends the forge, and says what was wrong with what it was sent.
func (w *village) ends() {
	if w.stop != nil {
		w.stop()
	}
	w.lab.Close()
	w.road.Close()
	for _, v := range w.lab.Violations() {
		w.t.Errorf("GitLab was sent: %s", v)
	}
	for _, v := range w.lab.Transitions() {
		w.t.Errorf("GitLab refused: %s", v)
	}
	if w.t.Failed() {
		w.t.Logf("the server said:\n%s", w.said.text())
	}
}

// settle writes the server's configuration, with more lines at its end.
func (w *village) settle(more ...string) {
	w.keep("token", w.token.Value)
	w.keep("secret", "a-secret-of-this-village")
	w.keep("server.yml", fmt.Sprintf(`state: state
listen: 127.0.0.1:0
url: %s
gitlab:
  url: %s
  token: token
  secret: secret
%s
`, w.road.URL, w.lab.URL(), strings.Join(more, "\n")))
	w.args = []string{"serve", "--config", filepath.Join(w.home, "server.yml")}
}

// read is what a file in the home of the server has.
func (w *village) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.home, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// serve starts the server, and waits until it has the project.
func (w *village) serve() {
	w.t.Helper()
	w.boot()
	at, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.at.Store(at)
	w.url = w.road.URL
	w.says("repository is served", "repo="+w.project.Path())
}

// says waits until the server has said all of these texts in one line.
func (w *village) says(texts ...string) {
	w.t.Helper()
	w.wait("said "+strings.Join(texts, ", "), func() bool {
		for line := range strings.Lines(w.said.text()) {
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
				return true
			}
		}
		return false
	})
}

// connect makes the webhook of a project, or with --system the system hook.
func (w *village) connect(project string) {
	w.t.Helper()
	w.must("gitlab", "connect", project, "--config", filepath.Join(w.home, "server.yml"))
}

// push pushes files to a branch, as ann.
func (w *village) push(branch string, f files) string {
	w.t.Helper()
	return w.project.Push(w.t, branch, forgetest.Change{Author: "ann", Files: f})
}

// tip is the commit of a branch.
func (w *village) tip(branch string) string {
	w.t.Helper()
	sha, err := w.project.Bare().Resolve("refs/heads/" + branch)
	if err != nil {
		w.t.Fatal(err)
	}
	return sha
}

// status waits for the status of the default pipeline of a commit, in a project.
func (w *village) status(in *forgetest.Project, sha string, want func(forgetest.LabStatus) bool) forgetest.LabStatus {
	w.t.Helper()
	s, err := in.WaitStatus(atHome(w.t), sha, defaultCheck, want)
	if err != nil {
		w.t.Fatalf("%v; it is %+v; the server said:\n%s", err, s, w.said.text())
	}
	return s
}

// is waits until the newest status of a commit has a state.
func (w *village) is(sha, state string) forgetest.LabStatus {
	w.t.Helper()
	return w.status(w.project, sha, func(s forgetest.LabStatus) bool { return s.State == state })
}

// onMerge is a pipeline that merge requests start, and no push.
func (w *village) onMerge() files {
	f := w.pipeline()
	f[".velocityci/pipelines/default.yml"] = "on: {pull_request: {}}\n" + f[".velocityci/pipelines/default.yml"]
	return f
}

// states are the states that all statuses of a commit had, oldest first: of each
// status a text such as "pending running success".
func (w *village) states(sha string) (all []string) {
	for _, s := range w.project.Statuses(sha) {
		all = append(all, strings.Join(s.History, " "))
	}
	return all
}

// quiet waits until the server has worked off all deliveries that it took. One that
// came twice is worked off once.
func (w *village) quiet() {
	w.t.Helper()
	if err := w.lab.Hooks.Settle(atHome(w.t)); err != nil {
		w.t.Fatal(err)
	}
	taken := map[string]bool{}
	for _, d := range w.lab.Hooks.Log() {
		if d.OK() {
			taken[d.GUID] = true
		}
	}
	w.wait(fmt.Sprintf("worked off %d deliveries", len(taken)), func() bool {
		return strings.Count(w.said.text(), " msg=delivery ") >= len(taken)
	})
}

// answer is how the server answered to a delivery sent with these headers.
func (w *village) answer(body string, header http.Header) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(atHome(w.t), http.MethodPost, w.road.URL+"/hooks/gitlab", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = header
	resp, err := w.road.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
