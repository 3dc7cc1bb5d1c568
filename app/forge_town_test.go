package app_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/builder/require"
)

// A town is a server and registered builders, in this process, beside a fake GitHub
// with one repository. Each has its own home.
type town struct {
	t    *testing.T
	hub  *forgetest.GitHub
	repo *forgetest.Repo
	in   *forgetest.Installation
	home string
	url  string   // of the server, also of the next one
	args []string // of the server
	said *speech
	stop func() int // ends the server

	gateway *gateway
}

// atHome is the context of a test's waits: whatever takes that long never comes.
func atHome(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// newTown is one whose server runs, without builders. The repository has a default
// branch, of which nothing was ever built.
func newTown(t *testing.T, o forgetest.GitHubOptions, config ...string) *town {
	t.Helper()
	w := foundTown(t, o)
	w.settle(config...)
	w.in = w.hub.Install(t, "octo", w.repo)
	w.serve()
	w.wait("serves octo/world", func() bool { return strings.Contains(w.said.text(), "repository is served") })
	return w
}

// foundTown makes the forge, and no server.
func foundTown(t *testing.T, o forgetest.GitHubOptions) *town {
	t.Helper()
	t.Parallel() // it has its own of everything
	o.Dir, o.Data = t.TempDir(), require.ForgeData(t)
	hub, err := forgetest.NewGitHub(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t, hub: hub, home: t.TempDir(), said: newSpeech()}
	t.Cleanup(w.ends)
	w.repo = hub.CreateRepo(t, "octo/world", forgetest.RepoOptions{})
	hub.Account("octo")
	w.gateway = newGateway(t)
	w.wall()
	w.push("main", w.pipeline())
	return w
}

// ends ends the forge, and says what was wrong with what it was sent.
func (w *town) ends() {
	if w.stop != nil {
		w.stop()
	}
	w.hub.Close()
	for _, v := range w.hub.Violations() {
		w.t.Errorf("GitHub was sent: %s", v)
	}
	for _, v := range w.hub.Untrue() {
		w.t.Errorf("the fake GitHub sent: %s", v)
	}
	for _, c := range w.hub.AllChecks() {
		final := false
		for _, was := range w.hub.History(c.ID) {
			if final && was.Status != "completed" {
				w.t.Errorf("check run %d of %s was completed, and then %s", c.ID, c.SHA, was.Status)
			}
			final = was.Status == "completed"
		}
	}
	if w.t.Failed() {
		w.t.Logf("the server said:\n%s", w.said.text())
	}
}

// settle writes the server's configuration, with more lines at its end.
func (w *town) settle(more ...string) {
	a := w.hub.App(w.t)
	w.keep("app.pem", string(pemOf(a.Key)))
	w.keep("secret", w.hub.HookSecret())
	w.keep("server.yml", fmt.Sprintf(`state: state
listen: 127.0.0.1:0
github: {url: "%s", app: %d, key: app.pem, secret: secret}
%s
`, w.hub.URL(), a.ID, strings.Join(more, "\n")))
	w.args = []string{"serve", "--config", filepath.Join(w.home, "server.yml")}
}

func (w *town) keep(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.home, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func pemOf(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

var listensAt = regexp.MustCompile(`msg=listening address=(\S+)`)

// serve starts the server, and has the forge send to it if there is an App.
func (w *town) serve() {
	w.t.Helper()
	w.boot()
	if w.in != nil {
		w.hub.SetHook(w.url + "/hooks/github")
	}
}

// boot starts the server.
func (w *town) boot() {
	w.t.Helper()
	w.listens(func() { w.stop = w.start(w.home, w.said, w.args...) })
}

// listens waits until a server that is started listens, and has people and forges
// find it.
func (w *town) listens(start func()) {
	w.t.Helper()
	before := len(listensAt.FindAllString(w.said.text(), -1))
	start()
	w.wait("listens", func() bool { return len(listensAt.FindAllString(w.said.text(), -1)) > before })
	all := listensAt.FindAllStringSubmatch(w.said.text(), -1)
	w.gateway.leadTo(all[len(all)-1][1])
	w.url = w.gateway.url()
}

// start runs velocity beside the test until it is stopped, which returns its status.
func (w *town) start(home string, to io.Writer, args ...string) (stop func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	status := 0
	go func() {
		defer close(over)
		status = run(ctx, home, "", to, args...)
	}()
	return func() int { cancel(); <-over; return status }
}

// run runs velocity with a home of its own.
func run(ctx context.Context, home, in string, to io.Writer, args ...string) int {
	return app.Main(ctx, args, app.Streams{In: strings.NewReader(in), Out: to, Err: to},
		[]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")})
}

// must runs velocity in the home of the server, and returns what it said.
func (w *town) must(args ...string) string {
	w.t.Helper()
	return w.tell("", args...)
}

// tell is must with something to read.
func (w *town) tell(in string, args ...string) string {
	w.t.Helper()
	var out bytes.Buffer
	if status := run(w.t.Context(), w.home, in, &out, args...); status != 0 {
		w.t.Fatalf("velocity %s ended with %d: %s", strings.Join(args, " "), status, &out)
	}
	return out.String()
}

// builder registers a builder and starts it.
func (w *town) builder(name string, more ...string) (stop func() int) {
	w.t.Helper()
	home, said := w.t.TempDir(), newSpeech()
	token := w.must("builder", "token", "--config", filepath.Join(w.home, "server.yml"))
	token = regexp.MustCompile(`vlr_\S+`).FindString(token)
	args := append([]string{"builder", "register", w.url, "--name", name}, more...)
	if status := run(w.t.Context(), home, token+"\n", said, args...); status != 0 {
		w.t.Fatalf("builder register ended with %d: %s", status, said.text())
	}
	stop = w.start(home, said, append([]string{"builder", "run", "--disk-floor", "1"}, more...)...)
	w.t.Cleanup(func() {
		w.raze() // else it would wait for what waits there
		stop()
		if w.t.Failed() {
			w.t.Logf("builder %s said:\n%s", name, said.text())
		}
	})
	return stop
}

// push pushes files to a branch, as the owner of the repository.
func (w *town) push(branch string, f files) string {
	w.t.Helper()
	return w.repo.Push(w.t, branch, forgetest.Change{Author: "octo", Files: f})
}

// check waits for a check run of a commit.
func (w *town) check(sha, name string, want func(forgetest.CheckRun) bool) forgetest.CheckRun {
	w.t.Helper()
	c, err := w.hub.WaitCheck(atHome(w.t), sha, name, want)
	if err != nil {
		w.t.Fatalf("%v; it is %+v", err, c)
	}
	return c
}

// concluded waits until a check run has a conclusion.
func concluded(as string) func(forgetest.CheckRun) bool {
	return func(c forgetest.CheckRun) bool { return c.Status == "completed" && c.Conclusion == as }
}

// is waits until the check of the default pipeline has a conclusion.
func (w *town) is(sha, conclusion string) forgetest.CheckRun {
	w.t.Helper()
	return w.check(sha, defaultCheck, concluded(conclusion))
}

// runs waits until the check of the default pipeline is shown as running.
func (w *town) runs(sha string) forgetest.CheckRun {
	w.t.Helper()
	return w.check(sha, defaultCheck, func(c forgetest.CheckRun) bool { return c.Status == "in_progress" })
}

// defaultCheck is the name of the check of the default pipeline.
const defaultCheck = "velocity / default"

var answered = regexp.MustCompile(`msg=trigger .*ref=(\S+) commit=(\S+) builds=(\d+)`)

// builds waits until a number of triggers of a commit are answered, and returns how
// many builds they made.
func (w *town) builds(sha string, triggers int) (n int) {
	w.t.Helper()
	w.wait(fmt.Sprintf("answered %d triggers of %s", triggers, sha), func() bool {
		met := 0
		n = 0
		for _, m := range answered.FindAllStringSubmatch(w.said.text(), -1) {
			if m[2] == sha {
				made, _ := strconv.Atoi(m[3]) // digits
				met, n = met+1, n+made
			}
		}
		return met >= triggers
	})
	return n
}

// quiet waits until the server has worked off all deliveries of the forge.
func (w *town) quiet() {
	w.t.Helper()
	if err := w.hub.Hooks.Settle(atHome(w.t)); err != nil {
		w.t.Fatal(err)
	}
	taken := map[string]bool{}
	for _, d := range w.hub.Hooks.Log() {
		if d.OK() {
			taken[d.GUID] = true
		}
	}
	w.wait("worked off all deliveries", func() bool {
		return strings.Count(w.said.text(), " msg=delivery ") >= len(taken)
	})
}

// notes waits until the server has said this about a delivery.
func (w *town) notes(text string) {
	w.t.Helper()
	w.wait("noted "+text, func() bool { return strings.Contains(w.said.text(), text) })
}

// wait waits until the server has said something.
func (w *town) wait(what string, ready func() bool) {
	w.t.Helper()
	if err := w.said.wait(atHome(w.t), ready); err != nil {
		w.t.Fatalf("the server never %s: %v\n%s", what, err, w.said.text())
	}
}

// A speech is what a program says, for others to wait for.
type speech struct {
	mu   sync.Mutex
	said bytes.Buffer
	more chan struct{} // closed and renewed when more was said
}

func newSpeech() *speech { return &speech{more: make(chan struct{})} }

func (s *speech) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.said.Write(p)
}

func (s *speech) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

func (s *speech) wait(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		more := s.more
		s.mu.Unlock()
		if ready() {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
