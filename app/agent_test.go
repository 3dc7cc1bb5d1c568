package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/dispatch/server"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// A yamen is the architect's side of one builder: registration, NATS and sources
// on one address, and an ear that remembers.
type yamen struct {
	t       *testing.T
	http    *httptest.Server
	hub     *dispatch.Hub
	repo    *git.Repository
	commit  plan.Commit
	here    chan dispatch.Presence
	ends    chan dispatch.Result
	refuses int // status that answers registrations, if not 0

	mu   sync.Mutex
	ask  api.Register
	text map[dispatch.Attempt][]byte
	more chan struct{}
}

const attemptPassword = "a-password-of-one-attempt"

func newYamen(t *testing.T) *yamen {
	t.Helper()
	y := &yamen{
		t: t, here: make(chan dispatch.Presence, 1000), ends: make(chan dispatch.Result, 100),
		text: map[dispatch.Attempt][]byte{}, more: make(chan struct{}, 1000),
	}
	dir := t.TempDir()
	out, err := exec.Command("sh", "-euc", `cd "$1"; git init -q -b main .; echo hello >file; git add .
		git -c user.name=A -c user.email=a@example.com commit -qm first; git rev-parse HEAD`, "sh", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	y.commit = plan.Commit(strings.TrimSpace(string(out)))
	if y.repo, err = git.Open(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	signer, err := dispatch.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	nats, err := server.Start(server.Options{Builder: func(public string) (string, bool) {
		y.mu.Lock()
		defer y.mu.Unlock()
		return y.ask.Name, public == y.ask.Public
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Stop)
	conn, err := nats.Architect()
	if err != nil {
		t.Fatal(err)
	}
	y.hub, err = dispatch.Listen(conn, y, dispatch.Authority{Signer: signer, Curve: func(string) (string, bool) {
		y.mu.Lock()
		defer y.mu.Unlock()
		return y.ask.Curve, true
	}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/nats", nats)
	mux.HandleFunc("POST "+api.PathRegister, func(w http.ResponseWriter, req *http.Request) {
		if y.refuses != 0 {
			http.Error(w, `{"message":"no"}`, y.refuses)
			return
		}
		y.mu.Lock()
		defer y.mu.Unlock()
		if err := json.NewDecoder(req.Body).Decode(&y.ask); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(api.Registered{Name: y.ask.Name, Architect: signer.Public(), NATS: "/nats"})
	})
	mux.HandleFunc("/git/project/", func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != "attempt" || password != attemptPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="velocity"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		y.repo.ServeFetch(w, req)
	})
	y.http = httptest.NewServer(mux)
	t.Cleanup(y.http.Close)
	return y
}

func (y *yamen) Here(_ context.Context, p dispatch.Presence) error { y.here <- p; return nil }

func (y *yamen) Step(context.Context, string, dispatch.Progress) error { return nil }

func (y *yamen) Log(_ context.Context, _ string, c dispatch.Chunk) (int64, error) {
	if c.File != dispatch.TextFile {
		return c.Offset + int64(len(c.Data)), nil
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.text[c.Attempt] = append(y.text[c.Attempt][:c.Offset], c.Data...)
	y.more <- struct{}{}
	return int64(len(y.text[c.Attempt])), nil
}

func (y *yamen) End(_ context.Context, _ string, r dispatch.Result) error { y.ends <- r; return nil }

func (y *yamen) log(a dispatch.Attempt) string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return string(y.text[a])
}

// assign gives a script to the builder.
func (y *yamen) assign(number int64, script string) dispatch.Attempt {
	y.t.Helper()
	a := dispatch.Assignment{
		Attempt:    dispatch.Attempt{Build: build.ID{Store: "k3f9a2", Number: number}, Task: "s0t0", Number: 1},
		Repository: "project", Source: "/nowhere", Commit: y.commit, Credential: attemptPassword,
		Task: plan.Task{Key: "s0t0", Name: "test", Steps: []plan.Step{{Type: plan.StepRun, Run: &plan.Run{Script: script}}}},
	}
	if err := y.hub.Assign(y.t.Context(), "b1", a); err != nil {
		y.t.Fatal(err)
	}
	return a.Attempt
}

// An outpost is the builder's side: a home folder and what commands said there.
type outpost struct {
	home string
	mu   sync.Mutex
	said bytes.Buffer
}

func (o *outpost) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.Write(p)
}

func (o *outpost) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

func (o *outpost) state() string {
	return filepath.Join(o.home, ".local", "state", "velocity", "builder")
}

// run runs `velocity builder …` and returns its exit status.
func (o *outpost) run(ctx context.Context, in string, args ...string) int {
	c := &cli{
		Streams: Streams{In: strings.NewReader(in), Out: o, Err: o}, now: time.Now,
		env: map[string]string{"HOME": o.home, "PATH": os.Getenv("PATH")},
	}
	cmd := c.builderRunCommand()
	if args[0] == "register" {
		cmd = c.builderRegisterCommand()
	}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args[1:])
	if err := cmd.ExecuteContext(ctx); err != nil {
		return c.complain(ctx, err)
	}
	return statusFine
}

// settle registers b1, starts it and waits until it is heard. stop ends it and returns its status.
func settle(t *testing.T, y *yamen) (o *outpost, stop func() int) {
	t.Helper()
	o = &outpost{home: t.TempDir()}
	if status := o.run(t.Context(), "a-token\n", "register", y.http.URL, "--name", "b1", "--executor", "host"); status != 0 {
		t.Fatalf("register ended with %d: %s", status, o.text())
	}
	stop = o.start(t)
	<-y.here
	return o, stop
}

func (o *outpost) start(t *testing.T) (stop func() int) {
	ctx, cancel := context.WithCancel(t.Context())
	status := make(chan int, 1)
	go func() {
		status <- o.run(ctx, "", "run", "--executor", "host", "--label", "gpu=true", "--disk-floor", "1")
	}()
	t.Cleanup(cancel)
	return func() int { cancel(); return <-status }
}

func TestBuilderOfAnotherMachine(t *testing.T) {
	y := newYamen(t)
	o, stop := settle(t, y)
	if info, err := os.Stat(filepath.Join(o.state(), credentialFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credential: %v, %v", info, err)
	}
	p := <-y.here
	if p.Builder != "b1" || p.Labels["gpu"] != "true" || p.Labels["os"] == "" || !cmp.Equal(p.Executors, []string{"docker", "host"}) || p.FreeDisk == 0 {
		t.Errorf("presence %+v", p)
	}
	a := y.assign(1, "cat file; git log --format=%s; env")
	r := <-y.ends
	if r.Verdict != dispatch.Succeeded {
		t.Fatalf("ended %s, %q", r.Verdict, r.Reason)
	}
	text := y.log(a)
	if !strings.HasPrefix(text, "hello\nfirst\n") || int64(len(text)) != r.Log.Bytes || strings.Contains(text, o.home+"\n") {
		t.Errorf("the log is %q", text)
	}
	if status := stop(); status != 0 {
		t.Errorf("run ended with %d: %s", status, o.text())
	}
	if found, err := exec.Command("grep", "-rlF", attemptPassword, o.home).Output(); err == nil {
		t.Errorf("the password is in %s", found)
	}
	if strings.Contains(o.text(), attemptPassword) || strings.Contains(o.text(), "a-token") {
		t.Errorf("a secret is in the builder's log: %s", o.text())
	}
}

// A first signal lets what runs come to its end.
func TestBuilderDrains(t *testing.T) {
	y := newYamen(t)
	_, stop := settle(t, y)
	gate := filepath.Join(t.TempDir(), "gate")
	y.assign(1, "echo ready; until test -e '"+gate+"'; do sleep 0.01; done; echo done")
	<-y.more
	status := make(chan int)
	go func() { status <- stop() }()
	for !(<-y.here).Draining {
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := <-y.ends; r.Verdict != dispatch.Succeeded {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	if got := <-status; got != 0 {
		t.Errorf("run ended with %d", got)
	}
}

// Two signals hand the work back. They reach this process, where one builder
// runs, as they would reach the program.
func TestBuilderHandsBack(t *testing.T) {
	y := newYamen(t)
	o, stop := settle(t, y)
	y.assign(1, "echo ready; exec sleep 600")
	<-y.more
	status := make(chan int)
	go func() { status <- stop() }()
	for !(<-y.here).Draining {
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	defer signal.Stop(told)
	for range 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-told // two signals that wait at the same time are one
	}
	if r := <-y.ends; r.Verdict != dispatch.Interrupted || r.Reason != "drained" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	if got := <-status; got != 0 {
		t.Errorf("run ended with %d: %s", got, o.text())
	}
}

// Cancel reaches a step on another machine, one that ignores TERM included.
func TestCancelOfARemoteStep(t *testing.T) {
	y := newYamen(t)
	_, stop := settle(t, y)
	a := y.assign(1, "trap '' TERM; echo ready; while :; do sleep 1; done")
	<-y.more
	if err := y.hub.Cancel(t.Context(), "b1", a, "canceled"); err != nil {
		t.Fatal(err)
	}
	if r := <-y.ends; r.Verdict != dispatch.Failed || r.Reason != "canceled" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	stop()
}

func TestRegistrationIsKept(t *testing.T) {
	y := newYamen(t)
	o := &outpost{home: t.TempDir()}
	register := func(args ...string) int {
		return o.run(t.Context(), "", append([]string{"register", y.http.URL, "--token", "t", "--name", "b1"}, args...)...)
	}
	if status := register(); status != 0 {
		t.Fatalf("ended with %d: %s", status, o.text())
	}
	before := y.ask.Public
	if status := register(); status != statusUsage || !strings.Contains(o.text(), "--force") || y.ask.Public != before {
		t.Errorf("a second registration ended with %d: %s", status, o.text())
	}
	if status := register("--force"); status != 0 || y.ask.Public == before {
		t.Errorf("a forced one ended with %d: %s", status, o.text())
	}
	if err := os.Chmod(filepath.Join(o.state(), credentialFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if status := o.run(t.Context(), "", "run"); status != statusUsage || !strings.Contains(o.text(), "can be read by others") {
		t.Errorf("a credential that others can read: %d: %s", status, o.text())
	}
}

func TestRegisterRefusals(t *testing.T) {
	y := newYamen(t)
	for name, c := range map[string]struct {
		refuses, status int
		in              string
		args            []string
		want            string
	}{
		"used token":        {refuses: 401, status: statusProblem, in: "t", args: []string{y.http.URL, "--name", "b1"}, want: "velocity builder token"},
		"name taken":        {refuses: 409, status: statusProblem, in: "t", args: []string{y.http.URL, "--name", "b1"}, want: "--name chooses"},
		"bad fields":        {refuses: 422, status: statusUsage, in: "t", args: []string{y.http.URL, "--name", "b1"}, want: "no"},
		"no token":          {status: statusUsage, args: []string{y.http.URL, "--name", "b1"}, want: "no token"},
		"plain http":        {status: statusUsage, in: "t", args: []string{"http://ci.example.org", "--name", "b1"}, want: "https"},
		"bad name":          {status: statusUsage, in: "t", args: []string{y.http.URL, "--name", "B 1"}, want: "lower-case"},
		"untrusted on host": {status: statusUsage, in: "t", args: []string{y.http.URL, "--name", "b1", "--untrusted", "--executor", "host"}, want: "never run on the machine"},
	} {
		t.Run(name, func(t *testing.T) {
			y.refuses = c.refuses
			o := &outpost{home: t.TempDir()}
			if status := o.run(t.Context(), c.in, append([]string{"register"}, c.args...)...); status != c.status || !strings.Contains(o.text(), c.want) {
				t.Errorf("ended with %d: %s", status, o.text())
			}
			if registered(o.state()) {
				t.Error("something was stored")
			}
		})
	}
}

func TestOneBuilderAFolder(t *testing.T) {
	y := newYamen(t)
	o, stop := settle(t, y)
	if status := o.run(t.Context(), "", "run"); status != statusUsage || !strings.Contains(o.text(), "another builder runs") {
		t.Errorf("a second builder ended with %d: %s", status, o.text())
	}
	stop()
}
