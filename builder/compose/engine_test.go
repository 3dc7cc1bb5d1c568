package compose_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/builder/compose"
	"github.com/velocity-ci/velocity/builder/docker"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/host"
	"github.com/velocity-ci/velocity/builder/require"
)

// testImage is made once per test process and removed at its end.
var testImage = sync.OnceValues(importImage)

func TestMain(m *testing.M) {
	status := m.Run()
	if name, err := testImage(); err == nil {
		_ = exec.Command("docker", "image", "rm", "--force", name).Run()
	}
	os.Exit(status)
}

// importImage gives the engine an image of one static busybox.
func importImage() (string, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return "", err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return "", err
	}
	var tree bytes.Buffer
	w := tar.NewWriter(&tree)
	err = w.WriteHeader(&tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))})
	_, writeErr := w.Write(program)
	err = errors.Join(err, writeErr)
	for _, applet := range []string{"sh", "cat", "sleep", "touch", "test", "true", "hostname", "ls", "id"} {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return "", err
	}
	name := "velocity-compose-test:" + strings.ToLower(rand.Text())
	cmd := exec.Command("docker", "import", "-", name)
	cmd.Stdin = &tree
	return name, cmd.Run()
}

// A bench is an executor with the real plugin and engine, and a workspace.
type bench struct {
	*compose.Executor
	workspace string
	owner     executor.Owner

	mu     sync.Mutex
	grown  chan struct{}
	own    bytes.Buffer             // what is about the project
	stream map[string]*bytes.Buffer // by container
}

// newBench makes a bench whose workspace has the files, of names and contents;
// IMAGE in a file stands for the test image. At the end nothing may be left.
func newBench(t *testing.T, files ...string) *bench {
	t.Helper()
	t.Parallel()
	path := os.Getenv("VELOCITY_COMPOSE")
	_, err := os.Stat(path)
	require.Have(t, "compose", err)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	name := "test-" + strings.ToLower(rand.Text())
	processes := &host.Executor{Builder: name, Base: []string{"PATH=" + os.Getenv("PATH")}}
	private := t.TempDir()
	d, err := docker.New(docker.Config{Builder: name, Log: log, Buildx: docker.Buildx{Processes: processes, Private: private}})
	if err != nil {
		t.Fatal(err)
	}
	require.Have(t, "docker", d.Available(t.Context()))
	image, err := testImage()
	require.Have(t, "docker", err)
	b := &bench{
		Executor:  &compose.Executor{Path: path, Processes: processes, Engine: d, Limits: compose.Limits(d.Limits()), Log: log},
		workspace: t.TempDir(), owner: executor.Owner{Builder: name, Build: "k3f9a2-1", Task: "s0t0", Attempt: 1},
		stream: map[string]*bytes.Buffer{}, grown: make(chan struct{}),
	}
	for i := 0; i < len(files); i += 2 {
		file := filepath.Join(b.workspace, files[i])
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, []byte(strings.ReplaceAll(files[i+1], "IMAGE", image)), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if left := b.left(t); left != "" {
			t.Errorf("left on the engine:\n%s", left)
			_ = d.RemoveAll(context.Background(), b.owner)
		}
		if left, err := os.ReadDir(private); err != nil || len(left) > 0 {
			t.Errorf("left of the private directories: %v, %v", left, err)
		}
	})
	return b
}

// left lists what bears the labels of the bench's builder.
func (b *bench) left(t *testing.T) string {
	t.Helper()
	var all []string
	filter := "--filter=label=velocity.builder=" + b.owner.Builder
	for _, what := range [][]string{{"container", "ls", "--all"}, {"network", "ls"}, {"volume", "ls"}, {"image", "ls"}} {
		out, err := exec.Command("docker", append(what, "--quiet", filter)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for id := range strings.FieldsSeq(string(out)) {
			all = append(all, what[0]+" "+id)
		}
	}
	return strings.Join(all, "\n")
}

// A watched writer wakes whoever awaits something.
type watched struct {
	b  *bench
	to *bytes.Buffer
}

func (w watched) Write(p []byte) (int, error) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	close(w.b.grown)
	w.b.grown = make(chan struct{})
	return w.to.Write(p)
}

func (b *bench) project(change ...func(*executor.Project)) executor.Project {
	p := executor.Project{
		Owner: b.owner, Workspace: b.workspace, File: "compose.yml", Grace: 4 * time.Second,
		Stdout: watched{b, &b.own}, Stderr: watched{b, &b.own},
		Stream: func(name string) io.Writer {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.stream[name] = new(bytes.Buffer)
			return watched{b, b.stream[name]}
		},
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

// said is what a container printed so far.
func (b *bench) said(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.stream[name]; s != nil {
		return s.String()
	}
	return ""
}

// await returns once the container has said something, which it must before its
// project is done.
func (b *bench) await(t *testing.T, name, what string, done <-chan error) {
	t.Helper()
	for {
		b.mu.Lock()
		grown := b.grown
		b.mu.Unlock()
		if strings.Contains(b.said(name), what) {
			return
		}
		select {
		case <-grown:
		case err := <-done:
			t.Fatalf("Run: %v; %s said %q; waited for %q; the plugin said:\n%s", err, name, b.said(name), what, &b.own)
		}
	}
}

// mustRun runs a project that is to come to its end, with this status.
func (b *bench) mustRun(t *testing.T, exit int, change ...func(*executor.Project)) {
	t.Helper()
	r, err := b.Run(t.Context(), b.project(change...))
	if err != nil || r.Exit != exit {
		t.Fatalf("Run = %+v, %v; want exit %d; the plugin said:\n%s", r, err, exit, &b.own)
	}
	if left := b.left(t); left != "" {
		t.Errorf("left on the engine:\n%s", left)
	}
}
