package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/require"
)

// testImage is made once per test process and removed at its end.
var testImage = sync.OnceValues(importImage)

func TestMain(m *testing.M) {
	status := m.Run()
	if name, err := testImage(); err == nil {
		if api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation()); err == nil {
			_, _ = api.ImageRemove(context.Background(), name, image.RemoveOptions{Force: true})
		}
	}
	os.Exit(status)
}

// importImage gives the engine an image of one static busybox.
func importImage() (string, error) {
	tree, err := busyboxTree()
	if err != nil {
		return "", err
	}
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return "", err
	}
	name := "velocity-test:" + strings.ToLower(rand.Text())
	body, err := api.ImageImport(context.Background(),
		image.ImportSource{Source: bytes.NewReader(tree), SourceName: "-"}, name, image.ImportOptions{})
	if err != nil {
		return "", err
	}
	defer body.Close()
	if refusal, err := readMessages(body, func(message) error { return nil }); refusal != "" || err != nil {
		return "", fmt.Errorf("import image: %s: %w", refusal, err)
	}
	return name, nil
}

// busyboxTree is a tar file: busybox, its applets as links, a passwd, /tmp.
func busyboxTree() ([]byte, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, err
	}
	const passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	add := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		err = errors.Join(err, w.WriteHeader(&h))
		_, werr := w.Write(content)
		err = errors.Join(err, werr)
	}
	add(tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	add(tar.Header{Name: "root/", Typeflag: tar.TypeDir, Mode: 0o700}, nil)
	add(tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, []byte(passwd))
	add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, program)
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			add(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
		}
	}
	return file.Bytes(), errors.Join(err, w.Close())
}

// newExecutor returns an executor for a builder name of its own, and checks at
// the end of the test that nothing of that builder is left on the engine.
func newExecutor(tb testing.TB, limits Limits, opts ...client.Opt) *Executor {
	tb.Helper()
	if len(opts) == 0 {
		opts = []client.Opt{client.FromEnv}
	}
	e, err := New(Config{
		Engine: opts, Builder: "test-" + rand.Text(), Limits: limits,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	require.Have(tb, "docker", e.Available(tb.Context()))
	imageFor(tb)
	tb.Cleanup(func() {
		direct := newClient(tb)
		for _, name := range containersOf(tb, direct, e.builder) {
			tb.Errorf("container %s was left behind", name)
			_ = removeContainer(context.Background(), direct, name)
		}
	})
	return e
}

func newClient(tb testing.TB) *client.Client {
	tb.Helper()
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { api.Close() })
	return api
}

func containersOf(tb testing.TB, api *client.Client, builder string) (ids []string) {
	tb.Helper()
	found, err := api.ContainerList(context.Background(), container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", labelBuilder+"="+builder)),
	})
	if err != nil {
		tb.Errorf("list containers: %v", err)
	}
	for _, c := range found {
		ids = append(ids, c.ID)
	}
	return ids
}

// imageFor is the test image, for tests that need one.
func imageFor(tb testing.TB) string {
	tb.Helper()
	name, err := testImage()
	require.Have(tb, "docker", err)
	return name
}

// shell is a step that runs script in the test image, in a workspace of its own.
func shell(tb testing.TB, script string) executor.Command {
	tb.Helper()
	name := imageFor(tb)
	return executor.Command{
		Owner:      executor.Owner{Build: "k3f9a2-1", Task: "s0t0", Attempt: 1},
		Argv:       []string{"/bin/sh", "-eu", "-c", script},
		Workspace:  tb.TempDir(),
		MountPoint: "/velocity_ci",
		Image:      name,
		Stdout:     io.Discard,
		Stderr:     io.Discard,
		Grace:      time.Minute, // a test that needs less says so
	}
}

// outcome is what a step printed and how it ended.
type outcome struct {
	executor.Result
	Stdout, Stderr string
}

// mustRun runs cmd to its own end.
func mustRun(tb testing.TB, e *Executor, cmd executor.Command) outcome {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	result, err := e.Run(tb.Context(), cmd)
	if err != nil {
		tb.Fatalf("Run(%q): %v\nstderr: %s", cmd.Argv, err, &stderr)
	}
	return outcome{result, stdout.String(), stderr.String()}
}

// wantStartError fails the test unless err is one whose text has all parts.
func wantStartError(tb testing.TB, err error, parts ...string) {
	tb.Helper()
	var start *executor.StartError
	if !errors.As(err, &start) {
		tb.Fatalf("error = %v, want a *executor.StartError", err)
	}
	for _, part := range parts {
		if !strings.Contains(start.Error(), part) {
			tb.Errorf("error = %q, want it to contain %q", start, part)
		}
	}
}

// A cue is a writer that closes seen once the text was written through it.
type cue struct {
	text string
	got  bytes.Buffer
	once sync.Once
	seen chan struct{}
}

func newCue(text string) *cue { return &cue{text: text, seen: make(chan struct{})} }

func (c *cue) Write(p []byte) (int, error) {
	c.got.Write(p)
	if strings.Contains(c.got.String(), c.text) {
		c.once.Do(func() { close(c.seen) })
	}
	return len(p), nil
}

// once calls act when all cues were seen, unless ctx ends first.
func once(ctx context.Context, act func(), cues ...*cue) {
	for _, c := range cues {
		select {
		case <-c.seen:
		case <-ctx.Done():
			return
		}
	}
	act()
}

var errTest = errors.New("a person said so")
