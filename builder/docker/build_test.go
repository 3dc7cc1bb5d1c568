package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/host"
	"github.com/velocity-ci/velocity/builder/require"
)

// imageOf is a build of files, name and content in turn, under a tag that is
// removed when the test ends.
func imageOf(tb testing.TB, files ...string) executor.ImageBuild {
	tb.Helper()
	b := executor.ImageBuild{
		Owner:     executor.Owner{Builder: "b", Build: "k3f9a2-1", Task: "s0t0", Attempt: 1},
		Workspace: tb.TempDir(), Tags: []string{"velocity-built:" + strings.ToLower(rand.Text())},
		Stdout: io.Discard, Stderr: io.Discard, Grace: 5 * time.Second,
	}
	fill(tb, b.Workspace, files...)
	forgetImage(tb, b.Tags[0])
	return b
}

func fill(tb testing.TB, dir string, files ...string) {
	tb.Helper()
	for i := 0; i < len(files); i += 2 {
		file := filepath.Join(dir, files[i])
		err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(files[i+1]), 0o644))
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// fromTest is a Dockerfile on top of the test image.
func fromTest(tb testing.TB, lines ...string) string {
	tb.Helper()
	name := imageFor(tb)
	return strings.Join(append([]string{"FROM " + name}, lines...), "\n") + "\n"
}

// ways are executors for both ways of building.
func ways(t *testing.T, test func(t *testing.T, e *Executor)) {
	t.Run("classic", func(t *testing.T) { test(t, newExecutor(t, Limits{})) })
	t.Run("buildx", func(t *testing.T) { test(t, withBuildx(t, newExecutor(t, Limits{}))) })
}

// withBuildx gives e the plugin that VELOCITY_BUILDX names, and checks that no
// credentials of its are left at the end.
func withBuildx(tb testing.TB, e *Executor) *Executor {
	tb.Helper()
	path := os.Getenv("VELOCITY_BUILDX")
	_, err := os.Stat(path)
	require.Have(tb, "buildx", err)
	e.buildx = Buildx{
		Path: path, Private: tb.TempDir(),
		Processes: &host.Executor{Builder: e.builder, Base: []string{"PATH=" + os.Getenv("PATH")}},
	}
	tb.Cleanup(func() {
		if left, err := os.ReadDir(e.buildx.Private); err != nil || len(left) > 0 {
			tb.Errorf("left behind: %v, %v", left, err)
		}
	})
	return e
}

func mustBuild(tb testing.TB, e *Executor, b executor.ImageBuild) (built []executor.Image, log string) {
	tb.Helper()
	var out bytes.Buffer
	b.Stdout, b.Stderr = &out, &out
	built, err := e.Build(tb.Context(), b)
	if err != nil {
		tb.Fatalf("Build: %v\n%s", err, &out)
	}
	return built, out.String()
}

// An image is built from the files that .dockerignore leaves, with its target
// and arguments, and a later step runs in it.
func TestBuild(t *testing.T) {
	ways(t, func(t *testing.T, e *Executor) {
		b := imageOf(t,
			"sub/app/Dockerfile", strings.Replace(fromTest(t, "ARG who=nobody", "COPY . /src", "RUN echo $who >/who", "FROM scratch", "COPY none /"), "\n", " AS app\n", 1),
			"sub/app/.dockerignore", "*.log\n!keep.log\nsecret\n",
			"sub/app/a.txt", "", "sub/app/drop.log", "", "sub/app/keep.log", "", "sub/app/secret/key", "", "outside", "")
		if err := os.Symlink("../../outside", filepath.Join(b.Workspace, "sub/app/link")); err != nil {
			t.Fatal(err)
		}
		b.Context, b.Target, b.Args = "sub/app", "app", []string{"who=ada lovelace $HOME"}
		built, log := mustBuild(t, e, b)
		if len(built) != 1 || built[0].Name != b.Tags[0] || !strings.HasPrefix(built[0].Digest, "sha256:") {
			t.Errorf("Build = %v", built)
		}
		if !strings.Contains(log, ">/who") {
			t.Errorf("log does not show the build:\n%s", log)
		}
		cmd := shell(t, "cd /src; echo *; cat /who; [ -L link ]; [ ! -e link ]")
		cmd.Image = b.Tags[0]
		got := mustRun(t, e, cmd)
		if want := "Dockerfile a.txt keep.log link\nada lovelace $HOME\n"; got.Exit != 0 || got.Stdout != want || got.Image != built[0].Digest {
			t.Errorf("the image has %q, exit %d, %s; want %q of %s", got.Stdout, got.Exit, got.Image, want, built[0].Digest)
		}
		again, _ := mustBuild(t, e, b)
		if diff := cmp.Diff(built, again); diff != "" {
			t.Errorf("the same build again gives another image:\n%s", diff)
		}
	})
}

// A Dockerfile may lie beside the context. It does not become part of the image.
func TestBuildDockerfileElsewhere(t *testing.T) {
	ways(t, func(t *testing.T, e *Executor) {
		b := imageOf(t, "docker/app.Dockerfile", fromTest(t, "COPY . /src"), "src/a", "", "src/b", "", "src/.dockerignore", "b")
		b.Context, b.Dockerfile = "src", "docker/app.Dockerfile"
		mustBuild(t, e, b)
		cmd := shell(t, "cd /src; ls -A | grep -v dockerignore")
		cmd.Image = b.Tags[0]
		if got := mustRun(t, e, cmd); got.Stdout != "a\n" {
			t.Errorf("the image has %q; want a alone", got.Stdout)
		}
	})
}

func TestBuildFails(t *testing.T) {
	ways(t, func(t *testing.T, e *Executor) {
		b := imageOf(t, "Dockerfile", fromTest(t, "RUN echo some words; exit 7"), "dir/file", "")
		var log bytes.Buffer
		b.Stdout, b.Stderr = &log, &log
		_, err := e.Build(t.Context(), b)
		wantImageError(t, err, "image was not built")
		if !strings.Contains(log.String(), "some words") {
			t.Errorf("log is %q", &log)
		}
		if err := os.Symlink("/etc", filepath.Join(b.Workspace, "etc")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("Dockerfile", filepath.Join(b.Workspace, "linked")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ context, dockerfile, what string }{
			{"../x", "", "context"}, {"etc", "", "context"}, {"none", "", "context"}, {"Dockerfile", "", "context"},
			{"dir", "", "dockerfile"}, {"", "/etc/passwd", "dockerfile"}, {"", "etc/passwd", "dockerfile"},
			{"", "linked", "dockerfile"}, {"", "../../etc/passwd", "dockerfile"},
		} {
			bad := b
			bad.Context, bad.Dockerfile = c.context, c.dockerfile
			_, err := e.Build(t.Context(), bad)
			wantImageError(t, err, c.what, "relative to its root")
		}
		b.Tags = []string{"-x"}
		_, err = e.Build(t.Context(), b)
		wantImageError(t, err, `tag "-x"`)
	})
}

// A canceled build ends soon and leaves no container.
func TestBuildCancel(t *testing.T) {
	ways(t, func(t *testing.T, e *Executor) {
		b := imageOf(t, "Dockerfile", fromTest(t, "RUN echo be''gun; sleep 600"))
		seen := newCue("begun")
		b.Stdout, b.Stderr = seen, io.Discard
		if e.buildx.Path != "" {
			b.Stdout, b.Stderr = io.Discard, seen
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		go once(ctx, func() { cancel(errTest) }, seen)
		began := time.Now()
		_, err := e.Build(ctx, b)
		if !errors.Is(err, errTest) {
			t.Errorf("Build = %v; want the cause", err)
		}
		t.Logf("ended %s after it began", time.Since(began))
		awaitNoSleeper(t)
	})
}

// awaitNoSleeper returns once no container of the test image runs sleep 600.
func awaitNoSleeper(t *testing.T) {
	t.Helper()
	name := imageFor(t)
	api := newClient(t)
	for t.Context().Err() == nil {
		left, err := api.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("ancestor", name))})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(left, func(c container.Summary) bool { return strings.Contains(c.Command, "sleep 600") }) {
			return
		}
	}
}

func TestBuildSecrets(t *testing.T) {
	b := imageOf(t, "Dockerfile", fromTest(t, "RUN --mount=type=secret,id=token sha256sum </run/secrets/token >/sum"))
	b.Secrets = []executor.Secret{{Name: "token", Value: "hunter2, with a comma"}}
	_, err := newExecutor(t, Limits{}).Build(t.Context(), b)
	wantImageError(t, err, "secret token", "docker buildx plugin")

	e := withBuildx(t, newExecutor(t, Limits{}))
	mustBuild(t, e, b)
	cmd := shell(t, "cat /sum; [ ! -s /run/secrets/token ]")
	cmd.Image = b.Tags[0]
	sum := sha256.Sum256([]byte(b.Secrets[0].Value))
	if got := mustRun(t, e, cmd); got.Exit != 0 || got.Stdout != hex.EncodeToString(sum[:])+"  -\n" {
		t.Errorf("the build saw %q, exit %d; want the sum of the secret", got.Stdout, got.Exit)
	}
	if argv, _ := e.buildxCommand(b, nil, "x"); strings.Contains(strings.Join(argv, " "), "hunter2") {
		t.Errorf("the command line shows the secret: %q", argv)
	}
}

// Images are built on top of a registry's that only the task may read.
func TestBuildFromPrivateRegistry(t *testing.T) {
	r := startRegistry(t)
	ways(t, func(t *testing.T, e *Executor) {
		base := r.tag(t)
		logins := []executor.Login{r.user}
		if _, err := e.Push(t.Context(), executor.ImagePush{Tags: []string{base}, Logins: logins, Stdout: io.Discard}); err != nil {
			t.Fatal(err)
		}
		api := newClient(t)
		if _, err := api.ImageRemove(t.Context(), base, image.RemoveOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		b := imageOf(t, "Dockerfile", "FROM "+base+"\nRUN echo from afar\n")
		_, err := e.Build(t.Context(), b)
		wantImageError(t, err, "image was not built")
		b.Logins = logins
		mustBuild(t, e, b)
	})
}

// Building a tag again and again keeps one image of it, and what somebody else
// tagged is not touched.
func TestBuildReplaces(t *testing.T) {
	e := newExecutor(t, Limits{})
	api := newClient(t)
	b := imageOf(t, "Dockerfile", fromTest(t, "COPY v /"), "v", "1")
	first, _ := mustBuild(t, e, b)
	fill(t, b.Workspace, "v", "2")
	second, _ := mustBuild(t, e, b)
	if first[0].Digest == second[0].Digest {
		t.Fatal("two versions are one image")
	}
	if _, err := api.ImageInspect(t.Context(), first[0].Digest); err == nil {
		t.Error("the image that lost its tag is still there")
	}
	kept := "velocity-built:" + strings.ToLower(rand.Text())
	if err := api.ImageTag(t.Context(), b.Tags[0], kept); err != nil {
		t.Fatal(err)
	}
	forgetImage(t, kept)
	fill(t, b.Workspace, "v", "3")
	mustBuild(t, e, b)
	if _, err := api.ImageInspect(t.Context(), second[0].Digest); err != nil {
		t.Errorf("an image that has another tag was removed: %v", err)
	}
}

// Credentials of a build that nobody is left to end are removed, others are not.
func TestReapRemovesCredentials(t *testing.T) {
	e := withBuildx(t, newExecutor(t, Limits{}))
	dir := func(o executor.Owner) string {
		d, err := e.privateDir(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeConfig(d, []executor.Login{{Registry: "docker.io", Username: "ada", Password: "secret"}}); err != nil {
			t.Fatal(err)
		}
		return d
	}
	mine := executor.Owner{Builder: e.builder, Build: "k3f9a2-1", Task: "s0t0", Attempt: 1}
	running := mine
	running.Attempt = 2
	other := mine
	other.Builder += "x"
	gone, stay, foreign := dir(mine), dir(running), dir(other)
	if n, err := e.Reap(t.Context(), func(o string) bool { return o == running.String() }); n != 1 || err != nil {
		t.Errorf("Reap = %d, %v; want 1", n, err)
	}
	for d, want := range map[string]bool{gone: false, stay: true, foreign: true} {
		if info, err := os.Stat(d); (err == nil) != want || want && info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, info, err)
		}
		os.RemoveAll(d)
	}
}

// The context is what docker build would send, whatever .dockerignore says.
func TestContext(t *testing.T) {
	for name, c := range map[string]struct {
		ignore, dir, dockerfile string
		want                    string
	}{
		"all":                 {"", ".", "Dockerfile", ".dockerignore Dockerfile a a/b a/b/c x"},
		"a directory":         {"", "a", "a/b/c", "b b/c"},
		"ignored":             {"a\nDockerfile\n", ".", "Dockerfile", ".dockerignore Dockerfile x"},
		"taken back":          {"a\n!a/b/c\n", ".", "Dockerfile", ".dockerignore Dockerfile a/b/c x"},
		"everything":          {"**\n", ".", "Dockerfile", ".dockerignore Dockerfile"},
		"ignored but needed":  {"a\n", ".", "a/b/c", ".dockerignore Dockerfile a/b/c x"},
		"comment and anchors": {"# a\n/x\n", ".", "Dockerfile", ".dockerignore Dockerfile a a/b a/b/c"},
		"outside":             {"", "a", "Dockerfile", "b b/c .dockerfile-dd2c0eb6ea5cfc6c .dockerignore"},
	} {
		dir := t.TempDir()
		fill(t, dir, ".dockerignore", c.ignore, "Dockerfile", "FROM scratch", "a/b/c", "c", "x", "")
		if err := exec.Command("mkfifo", filepath.Join(dir, "fifo")).Run(); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		files, err := openContext(root, c.dir, c.dockerfile)
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		if err := files.write(&packed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		root.Close()
		var got []string
		for r := tar.NewReader(&packed); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			if h.Uid != 0 || h.Uname != "" {
				t.Errorf("%s: %s belongs to %d %s", name, h.Name, h.Uid, h.Uname)
			}
			got = append(got, strings.TrimSuffix(h.Name, "/"))
		}
		if words := strings.Join(got, " "); words != c.want {
			t.Errorf("%s: the context has %s; want %s", name, words, c.want)
		}
	}
}
