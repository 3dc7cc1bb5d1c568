package app_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/builder/require"
)

// A result is how a command ended, and all it said.
type result struct {
	status int
	said   string
}

func (r result) check(t *testing.T, status int, words ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d; want %d\n%s", r.status, status, r.said)
	}
	for _, word := range words {
		if !strings.Contains(r.said, word) {
			t.Errorf("%q is not in\n%s", word, r.said)
		}
	}
}

// try runs a command that may fail.
func (y *yard) try(cmd *exec.Cmd) result {
	y.t.Helper()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		y.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), string(out)}
}

func needRoot(t *testing.T) {
	t.Helper()
	var missing error
	if os.Geteuid() != 0 {
		missing = errors.New("this user may not mount, nor give files away")
	}
	require.Have(t, "root", missing)
}

// mount makes a file system of size bytes in a folder of the yard.
func (y *yard) mount(name, size string) string {
	y.t.Helper()
	dir := filepath.Join(y.root, name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		y.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		require.Have(y.t, "root", err) // a container may lack the right
	}
	y.t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			y.t.Error(err)
		}
	})
	return dir
}

// fill leaves no room in dir, until the file it returns is removed.
func (y *yard) fill(dir string) string {
	y.t.Helper()
	path := filepath.Join(dir, "filler")
	file, err := os.Create(path)
	if err != nil {
		y.t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		y.t.Fatalf("filling %s ended with %v", dir, err)
	}
	return path
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// remove removes files that the test made.
func (y *yard) remove(paths ...string) {
	y.t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			y.t.Fatal(err)
		}
	}
}

// pushEmpty pushes a new commit without changes, for nobody to hear of, and
// returns it.
func (y *yard) pushEmpty(to string) (commit string) {
	y.t.Helper()
	seed := filepath.Join(y.root, "seed")
	y.must(seed, "git", "commit", "-q", "--allow-empty", "-m", "next")
	y.must(seed, "git", "push", "-q", to, "main")
	return y.must(seed, "git", "rev-parse", "HEAD")
}

// A repository without room: the server says so and ends; a later one goes on
// where it was, in the middle of a build too.
func TestRepositoryFull(t *testing.T) {
	needRoot(t)
	y := newYard(t)
	small := y.mount("small", "4m")
	repo := filepath.Join(small, "repo.git")
	began, gone := filepath.Join(y.root, "began"), filepath.Join(y.root, "go")
	y.write("seed/.velocityci/blueprints/slow.yml", `steps: [{type: run, script: ': >"`+began+`"; until [ -e "`+gone+`" ]; do sleep 0.01; done'}]`+"\n")
	y.write("go", "")
	y.must(filepath.Join(y.root, "seed"), "git", "commit", "-qam", "slow")
	y.must(y.root, "git", "clone", "-q", "--bare", "seed", repo)
	y.bare = repo
	y.must(y.root, "velocity", "serve", "--repo", repo, "--once")

	commit := y.pushEmpty(repo)
	filler := y.fill(small)
	y.try(y.command(y.root, "velocity", "serve", "--repo", repo, "--once")).check(t, 3, "no space left on device")
	y.remove(filler)
	y.try(y.command(y.root, "velocity", "serve", "--repo", repo, "--once")).check(t, 0, "default: succeeded")
	y.result(commit)

	y.remove(began, gone)
	commit = y.pushEmpty(repo)
	server := y.serve("serve", "--repo", repo)
	y.eventually("a step to begin", func() bool { _, err := os.Stat(began); return err == nil })
	filler = y.fill(small)
	y.write("go", "")
	<-server.ended
	result{server.cmd.ProcessState.ExitCode(), y.serverLog()}.check(t, 3, "no space left on device")
	y.remove(filler)
	y.try(y.command(y.root, "velocity", "serve", "--repo", repo, "--once")).check(t, 0, "default: succeeded")
	y.result(commit)
	y.checkRefs()
	y.fsck()
	y.checkBuilds()
}

// result asks that the branch has exactly one result for a commit.
func (y *yard) result(commit string) {
	y.t.Helper()
	for _, name := range yardPipelines {
		if got := y.notes(commit, "refs/heads/main", name); got != 1 {
			y.t.Errorf("commit %s has %d results of %s; want 1", commit, got, name)
		}
	}
}

// A builder without room to work in: the build fails and says why, the server
// stays, and a person may have it built again.
func TestCacheFull(t *testing.T) {
	needRoot(t)
	y := newYard(t)
	cache := y.mount("cache", "2m")
	serve := func(args ...string) *exec.Cmd {
		cmd := y.command(y.root, "velocity", args...)
		cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+cache)
		return cmd
	}
	y.try(serve("serve", "--repo", y.bare, "--once")).check(t, 0)
	seed := filepath.Join(y.root, "seed")
	y.must(seed, "git", "commit", "-q", "--allow-empty", "-m", "next")
	y.must(seed, "git", "push", "-q", "-o", "velocity.skip", y.bare, "main")
	y.try(serve("serve", "--repo", y.bare, "--once")).check(t, 0) // after the hook's own server
	y.must(y.root, "velocity", "start", "--repo", y.bare)
	filler := y.fill(cache)
	y.try(serve("serve", "--repo", y.bare, "--once")).check(t, 1, "no space left on device")
	y.remove(filler)
	y.must(y.root, "velocity", "rerun", "--repo", y.bare, "HEAD")
	y.try(serve("serve", "--repo", y.bare, "--once")).check(t, 0, "default: succeeded")
	y.checkRefs()
	y.fsck()
}

// A repository of somebody else is refused, as git refuses it, unless the user
// calls it safe.
func TestOwner(t *testing.T) {
	needRoot(t)
	y := newYard(t)
	if err := os.Lchown(y.bare, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve", "--once"}, {"builds"}, {"start"}, {"plan"}, {"rerun", "1"}} {
		args = append(args, "--repo", y.bare)
		y.try(y.command(y.root, "velocity", args...)).check(t, 2, "12345", "safe.directory")
	}
	y.must(y.root, "git", "config", "--global", "--add", "safe.directory", y.bare)
	y.try(y.command(y.root, "velocity", "builds", "--repo", y.bare)).check(t, 0, "default")
	// who serves it does not own it: steps run on this machine only if asked for
	y.must(y.root, "velocity", "start", "--repo", y.bare)
	y.try(y.command(y.root, "velocity", "serve", "--once", "--repo", y.bare)).check(t, 1, "--executor host")
	y.must(y.root, "velocity", "start", "--repo", y.bare)
	y.try(y.command(y.root, "velocity", "serve", "--once", "--repo", y.bare, "--executor", "host")).check(t, 0, "default: succeeded")
}

// A file that this user may not read is told apart from one that is not there.
func TestUnreadable(t *testing.T) {
	y := newYard(t)
	seed := filepath.Join(y.root, "seed")
	if err := os.Chmod(filepath.Join(seed, ".velocityci", "blueprints", "quick.yml"), 0); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"run", "plan", "lint", "list"} {
		cmd := y.asNobody(y.command(seed, "velocity", command))
		y.try(cmd).check(t, 3, "quick.yml: permission denied")
	}
}

// nobody is a user to whom permissions matter.
const nobody = 65534

// asNobody makes root run a command as a user who owns the yard from now on.
func (y *yard) asNobody(cmd *exec.Cmd) *exec.Cmd {
	y.t.Helper()
	if os.Geteuid() != 0 {
		return cmd
	}
	program, err := os.ReadFile(cmd.Path)
	if err != nil {
		y.t.Fatal(err)
	}
	cmd.Path = filepath.Join(y.root, "velocity") // the test's own copy is in a closed folder
	if now, _ := os.ReadFile(cmd.Path); !bytes.Equal(now, program) {
		if err := os.WriteFile(cmd.Path, program, 0o755); err != nil {
			y.t.Fatal(err)
		}
		y.must(y.root, "chown", "-R", "65534:65534", y.root)
		y.must(y.root, "chmod", "755", filepath.Dir(y.root))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}
