package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/velocity-ci/velocity/builder/executor"
)

// aService is one that runs script in the test image.
func aService(tb testing.TB, alias, script string, ready ...string) executor.Service {
	tb.Helper()
	name := imageFor(tb)
	return executor.Service{
		Alias: alias, Image: name, Argv: []string{"/bin/sh", "-euc", script}, Ready: ready,
		Stdout: io.Discard, Stderr: io.Discard,
	}
}

// checkNoNetwork fails the test if a network of the executor's is left.
func checkNoNetwork(t *testing.T, e *Executor) {
	t.Helper()
	left, err := newClient(t).NetworkList(t.Context(), network.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelBuilder+"="+e.builder))})
	if err != nil || len(left) > 0 {
		t.Errorf("networks left: %v, %v", left, err)
	}
	if left := containersOf(t, newClient(t), e.builder); len(left) > 0 {
		t.Errorf("containers left: %v", left)
	}
}

// A step reaches its services by their aliases once they are ready, and what
// they print is all there when it is over.
func TestServices(t *testing.T) {
	e := newExecutor(t, Limits{})
	var words, ears bytes.Buffer
	web := aService(t, "web", "mkdir /w; echo $greeting >/w/index.html; echo serving; exec httpd -f -p 80 -h /w", "wget", "-qO-", "http://localhost/")
	web.Env, web.Stdout = []string{"greeting=hello from web"}, &words
	echo := aService(t, "echo", "echo louder >&2; touch /said; sleep 600", "test", "-e", "/said")
	echo.Stderr = &ears
	cmd := shell(t, "wget -qO- http://web/; ping -c1 echo >/dev/null 2>&1 || nslookup echo >/dev/null; id -u")
	cmd.Services = []executor.Service{web, echo}
	got := mustRun(t, e, cmd)
	if got.Exit != 0 || got.Stdout != "hello from web\n0\n" {
		t.Errorf("exit %d, stdout %q, stderr %q", got.Exit, got.Stdout, got.Stderr)
	}
	if words.String() != "serving\n" || ears.String() != "louder\n" {
		t.Errorf("services printed %q and %q", &words, &ears)
	}
	checkNoNetwork(t, e)
}

func TestServiceFails(t *testing.T) {
	e := newExecutor(t, Limits{})
	for name, c := range map[string]struct {
		service executor.Service
		parts   []string
	}{
		"ends":     {aService(t, "db", "echo no disk >&2; exit 3", "false"), []string{"service db is not ready", "exit 3"}},
		"no image": {executor.Service{Alias: "db", Image: "localhost:1/none:1", Stdout: io.Discard, Stderr: io.Discard}, []string{"localhost:1/none:1", "cannot be pulled"}},
		"no alias": {aService(t, "", "true"), []string{"alias"}},
	} {
		cmd := shell(t, "echo must not run")
		var out bytes.Buffer
		cmd.Stdout, cmd.Services = &out, []executor.Service{c.service}
		_, err := e.Run(t.Context(), cmd)
		wantStartError(t, err, c.parts...)
		if out.Len() > 0 {
			t.Errorf("%s: the step ran: %q", name, &out)
		}
		checkNoNetwork(t, e)
	}
	cmd := shell(t, "true")
	cmd.Network, cmd.Services = "none", []executor.Service{aService(t, "db", "true")}
	_, err := e.Run(t.Context(), cmd)
	wantStartError(t, err, "network \"none\"", "leave network out")
}

// What a ready command said last is in the error when time is up.
func TestServiceNeverReady(t *testing.T) {
	e := newExecutor(t, Limits{})
	ready := newCue("asked")
	c := &circle{e: e, cmd: shell(t, "true"), network: containerName()}
	db := aService(t, "db", "mkfifo /p; exec cat <>/p", "sh", "-c", "echo not yet, sorry; echo asked >/p; exit 1")
	db.Stdout = ready
	c.cmd.Services = []executor.Service{db}
	ctx, cancel := context.WithCancelCause(t.Context())
	go once(ctx, func() { cancel(errTest) }, ready)
	defer c.end(t.Context())
	if err := c.begin(ctx); !errors.Is(err, errTest) {
		t.Errorf("begin = %v; want the cause", err)
	}
	said := ""
	if ok, err := c.services[0].ask(t.Context(), &said); ok || err != nil || said != "not yet, sorry" {
		t.Errorf("ask = %v, %v, said %q", ok, err, said)
	}
	late, cancel2 := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel2()
	if err := c.services[0].await(late); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await = %v", err)
	}
	wantStartError(t, notReady("db", "not within 1m0s", said), "service db is not ready", "not yet, sorry", "ready")
}

// An engine that is asked in the moment of a service's end answers that it is in
// trouble itself, as it does when it is.
func TestServiceEndsWhileAsked(t *testing.T) {
	e := newExecutor(t, Limits{})
	c := &circle{e: e, cmd: shell(t, "true"), network: containerName()}
	c.cmd.Services = []executor.Service{aService(t, "db", "sleep 600")}
	defer c.end(t.Context())
	if err := c.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := c.services[0]
	if err := db.askError(t.Context(), errTest); !errors.Is(err, executor.ErrEngine) || !errors.Is(err, errTest) {
		t.Errorf("while it runs: %v, want ErrEngine", err)
	}
	db.end(t.Context())
	if err := db.askError(t.Context(), errTest); err != nil {
		t.Errorf("after its end: %v", err)
	}
}

// A canceled step takes its services with it.
func TestServicesCancel(t *testing.T) {
	e := newExecutor(t, Limits{})
	seen := newCue("begun")
	cmd := shell(t, "echo begun; sleep 600")
	cmd.Grace = 0
	cmd.Stdout, cmd.Services = seen, []executor.Service{aService(t, "db", "sleep 600")}
	ctx, cancel := context.WithCancelCause(t.Context())
	go once(ctx, func() { cancel(errTest) }, seen)
	if _, err := e.Run(ctx, cmd); !errors.Is(err, errTest) {
		t.Errorf("Run = %v; want the cause", err)
	}
	checkNoNetwork(t, e)
}

// Services of a builder that was killed are removed with their network.
func TestReapRemovesServices(t *testing.T) {
	e := newExecutor(t, Limits{})
	c := &circle{e: e, cmd: shell(t, "true"), network: containerName()}
	c.cmd.Owner.Builder = e.builder
	c.cmd.Services = []executor.Service{aService(t, "db", "sleep 600")}
	if err := c.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := e.Reap(t.Context(), func(string) bool { return false })
	if n != 2 || err != nil {
		t.Errorf("Reap = %d, %v; want a container and a network", n, err)
	}
	c.services[0].end(t.Context())
	checkNoNetwork(t, e)
}

// No service can be told to be more than a step may be.
func TestServiceIsConfined(t *testing.T) {
	e := newExecutor(t, Limits{Memory: 64 << 20})
	web := aService(t, "web", "grep -E '^(NoNewPrivs|CapEff)' /proc/self/status; [ ! -e /velocity_ci ] && echo alone; touch /said; sleep 600", "test", "-e", "/said")
	seen := newCue("alone")
	web.Stdout = seen
	cmd := shell(t, "grep -E '^(NoNewPrivs|CapEff)' /proc/self/status")
	cmd.Services = []executor.Service{web}
	got := mustRun(t, e, cmd)
	if said := strings.TrimSuffix(seen.got.String(), "alone\n"); said != got.Stdout || said == "" {
		t.Errorf("the service has %q, the step %q", &seen.got, got.Stdout)
	}
}
