package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// orphan begins a step with an executor that is cut off from the engine once the
// step said ready. It returns the container's name and an executor that can
// resume it. The step goes on when the file "go" is in its workspace.
func orphan(t *testing.T, cmd executor.Command) (*Executor, string) {
	t.Helper()
	p := newProxy(t)
	e := newExecutor(t, Limits{}, p.option())
	ready := newCue("ready\n")
	name := ""
	cmd.Stdout, cmd.Begin = ready, func(container string) error { name = container; return nil }
	go once(t.Context(), p.vanish, ready, p.waiting)
	if result, err := e.Run(t.Context(), cmd); !errors.Is(err, executor.ErrEngine) {
		t.Fatalf("Run = %+v, %v, want ErrEngine", result, err)
	}
	heir := newExecutor(t, Limits{})
	heir.builder = e.builder
	return heir, name
}

func letGo(t *testing.T, cmd executor.Command) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(cmd.Workspace, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// awaitEnd returns once the container has ended.
func awaitEnd(t *testing.T, name string) {
	t.Helper()
	ended, errs := newClient(t).ContainerWait(t.Context(), name, container.WaitConditionNotRunning)
	select {
	case <-ended:
	case err := <-errs:
		t.Fatal(err)
	}
}

const (
	goOn      = `until [ -e go ]; do sleep 0.01; done; `
	talkative = `printf 'one\n\n\000\377\r\n'; echo two >&2; echo ready; ` + goOn + `echo three; printf four >&2; exit 3`
)

// What ran on while nobody watched is taken up with all it printed and how it
// ended, be that before or after.
func TestResume(t *testing.T) {
	for name, before := range map[string]bool{"still runs": false, "ended meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			cmd := shell(t, "cd /velocity_ci; "+talkative)
			e, container := orphan(t, cmd)
			letGo(t, cmd)
			if before {
				awaitEnd(t, container)
			}
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			result, err := e.Resume(t.Context(), container, cmd)
			if err != nil || result.Exit != 3 || result.Image == "" {
				t.Errorf("Resume = %+v, %v, want exit 3", result, err)
			}
			if want := "one\n\n\x00\xff\r\nready\nthree\n"; stdout.String() != want || stderr.String() != "two\nfour" {
				t.Errorf("it printed %q and %q, want %q", &stdout, &stderr, want)
			}
		})
	}
}

// A step that is canceled after it was taken up ends like any other.
func TestResumedStepIsCanceled(t *testing.T) {
	cmd := shell(t, "cd /velocity_ci; trap 'echo stopped; exit 4' TERM; echo ready; "+goOn)
	e, container := orphan(t, cmd)
	ctx, cancel := context.WithCancelCause(t.Context())
	ready := newCue("ready\n")
	cmd.Stdout = ready
	go once(t.Context(), func() { cancel(errTest) }, ready)
	result, err := e.Resume(ctx, container, cmd)
	if !errors.Is(err, errTest) || result.Exit != 4 || !strings.HasSuffix(ready.got.String(), "stopped\n") {
		t.Errorf("Resume = %+v, %v, having printed %q", result, err, &ready.got)
	}
}

// What cannot be known for certain is no outcome.
func TestResumeRefuses(t *testing.T) {
	quick := "cd /velocity_ci; echo ready; " + goOn
	for name, c := range map[string]struct {
		script string
		change func(t *testing.T, e *Executor, cmd *executor.Command, container *string)
		want   string
	}{
		"a container that is gone": {quick, func(_ *testing.T, e *Executor, cmd *executor.Command, container *string) {
			e.remove(t.Context(), &box{api: e.api, name: *container}, cmd.Owner)
		}, "No such container"},
		"that of another attempt": {quick, func(_ *testing.T, _ *Executor, cmd *executor.Command, _ *string) {
			cmd.Owner.Attempt++
		}, "it belongs to"},
		"one that was never started": {quick, func(t *testing.T, e *Executor, cmd *executor.Command, container *string) {
			*container = containerName()
			s, err := e.newSpec(t.Context(), *cmd)
			if err == nil {
				s.host.LogConfig.Type = keptLog
				err = e.tryCreate(t.Context(), *container, s)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "it was never started"},
		"an end that the engine forgot": {quick, func(t *testing.T, e *Executor, cmd *executor.Command, container *string) {
			letGo(t, *cmd)
			awaitEnd(t, *container)
			e.api = forgetful(t, e.api)
		}, "does not remember"},
		"a line that the engine cut": {
			"cd /velocity_ci; echo ready; " + goOn + "head -c 20000 /dev/zero; echo",
			func(t *testing.T, _ *Executor, cmd *executor.Command, _ *string) { letGo(t, *cmd) }, "no exact copy",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := shell(t, c.script)
			cmd.Grace = 0
			e, container := orphan(t, cmd)
			first := container
			c.change(t, e, &cmd, &container)
			result, err := e.Resume(t.Context(), container, cmd)
			if !errors.Is(err, ErrCannotResume) || !errors.Is(err, executor.ErrEngine) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Resume = %+v, %v, want %q", result, err, c.want)
			}
			if err := removeContainer(t.Context(), newClient(t), first); err != nil {
				t.Error(err)
			}
		})
	}
}

// forgetful reaches the engine through one that was restarted: it remembers no
// event.
func forgetful(t *testing.T, api *client.Client) *client.Client {
	t.Helper()
	dial := api.Dialer()
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	forward.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	restarted, err := client.NewClientWithOpts(client.WithHost("tcp://"+s.Listener.Addr().String()), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { restarted.Close() })
	return restarted
}

// An end that the engine tells of late counts all the same, and nobody waits any
// longer than for it.
func TestEndIsKnownOnceItIsTold(t *testing.T) {
	ended := time.Now()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if until := r.URL.Query().Get("until"); until <= instant(ended.Add(5*time.Second)) {
			return // it was told after that
		}
		_, _ = io.WriteString(w, `{"Type":"container","Action":"start"}{"Type":"container","Action":"die"}`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	api, err := client.NewClientWithOpts(client.WithHost("tcp://" + s.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	e := &Executor{api: api}
	seen, err := e.actions(t.Context(), container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{
		ID: "c", Created: ended.Add(-time.Minute).Format(time.RFC3339Nano),
		State: &container.State{FinishedAt: ended.Format(time.RFC3339Nano)},
	}})
	if err != nil || !seen[events.ActionStart] || !seen[events.ActionDie] {
		t.Errorf("actions = %v, %v; want that it started and ended", seen, err)
	}
}
