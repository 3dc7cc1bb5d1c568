package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// sh runs a script in dir, with a git that knows nothing of this machine's user,
// and returns what it printed.
func sh(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// repository makes a work tree with one commit.
func repository(t testing.TB) (dir string, commit plan.Commit) {
	t.Helper()
	dir = t.TempDir()
	sh(t, dir, `git init -q -b main .; echo one > file; git add .; git commit -qm first; git tag -am v1 v1`)
	return dir, head(t, dir)
}

func head(t testing.TB, dir string) plan.Commit {
	t.Helper()
	return plan.Commit(sh(t, dir, "git rev-parse HEAD"))
}

func fresh(t testing.TB) *Fresh {
	t.Helper()
	state := t.TempDir()
	f := &Fresh{
		Mirrors: filepath.Join(state, "mirrors"), Work: filepath.Join(state, "work"),
		Fetch: git.FetchOptions{Transports: []string{"file"}}, Now: time.Now,
	}
	t.Cleanup(f.upkeep.Wait)
	return f
}

func TestFreshChecksOut(t *testing.T) {
	dir, commit := repository(t)
	before := sh(t, dir, "find .git -type f | sort | xargs cksum")
	for name, address := range map[string]string{"path": dir, "URL": "file://" + dir} {
		t.Run(name, func(t *testing.T) {
			f := fresh(t)
			ws, done, err := f.Open(t.Context(), Request{Name: "k3f9a2-1-s0t0.1", Repository: address, Commit: commit})
			if err != nil {
				t.Fatal(err)
			}
			if got := sh(t, ws.Dir, "cat file; git status --porcelain; git describe; git log --format=%s"); got != "one\nv1\nfirst" {
				t.Errorf("the workspace holds %q", got)
			}
			borrowed, err := os.ReadFile(filepath.Join(ws.Dir, ".git/objects/info/alternates"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{strings.TrimSpace(string(borrowed))}, ws.ReadOnly); diff != "" {
				t.Errorf("ReadOnly (-want +got):\n%s", diff)
			}
			sh(t, ws.Dir, "mkdir -p cache/deep; touch cache/deep/file; chmod 0500 cache/deep cache; touch ../src.scratch")
			if err := done(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(f.Work); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	if after := sh(t, dir, "find .git -type f | sort | xargs cksum"); after != before {
		t.Errorf("the repository was changed:\n%s\n%s", before, after)
	}
}

func TestFreshFetchesOnlyWhatIsMissing(t *testing.T) {
	dir, first := repository(t)
	f := fresh(t)
	open := func(name string, commit plan.Commit) error {
		_, done, err := f.Open(t.Context(), Request{Name: name, Repository: "file://" + dir, Commit: commit})
		if err == nil {
			err = done()
		}
		return err
	}
	if err := open("a", first); err != nil {
		t.Fatal(err)
	}
	second := plan.Commit(sh(t, dir, "echo two > file; git commit -qam second; git rev-parse HEAD"))
	if err := open("b", second); err != nil {
		t.Errorf("a commit made after the mirror: %v", err)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := open("c", first); err != nil {
		t.Errorf("a commit that the mirror has needs the source: %v", err)
	}
	again := &Fresh{Mirrors: f.Mirrors, Work: f.Work, Fetch: f.Fetch, Now: f.Now}
	f = again
	if err := open("d", second); err != nil {
		t.Errorf("a mirror of an earlier process is not used: %v", err)
	}
	if err := open("e", plan.Commit(strings.Repeat("1", 40))); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("a source that cannot be reached = %v; want an error other than ErrGone", err)
	}
}

func TestFreshAtOnce(t *testing.T) {
	dir, commit := repository(t)
	f := fresh(t)
	var attempts sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		attempts.Go(func() {
			ws, done, err := f.Open(t.Context(), Request{Name: name, Repository: "file://" + dir, Commit: commit})
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(filepath.Join(ws.Dir, "file")); err != nil || string(got) != "one\n" {
				t.Errorf("file = %q, %v", got, err)
			}
			if err := done(); err != nil {
				t.Error(err)
			}
		})
	}
	attempts.Wait()
}

func TestFreshSaysWhatIsGone(t *testing.T) {
	dir, _ := repository(t)
	missing := plan.Commit(strings.Repeat("ab", 20))
	for name, address := range map[string]string{"path": dir, "URL": "file://" + dir} {
		t.Run(name, func(t *testing.T) {
			f := fresh(t)
			_, _, err := f.Open(t.Context(), Request{Name: "a", Repository: address, Commit: missing})
			if want := "commit " + string(missing) + " is not in " + address + ": it is gone"; !errors.Is(err, ErrGone) || err.Error() != want {
				t.Errorf("Open = %v; want %s", err, want)
			}
			if _, err := os.Stat(f.Work); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a workspace was made: %v", err)
			}
		})
	}
}

func TestFreshWithoutSubmodules(t *testing.T) {
	dir, plain := repository(t)
	left := plan.Commit(sh(t, dir, "git config -f .gitmodules submodule.gone.path gone; git config -f .gitmodules submodule.gone.url ../gone; "+
		"git add .; git commit -qm modules; git rev-parse HEAD"))
	f := fresh(t)
	for _, commit := range []plan.Commit{plain, left} {
		_, done, err := f.Open(t.Context(), Request{Name: "a", Repository: dir, Commit: commit, Submodules: true})
		if err != nil {
			t.Fatalf("a commit without submodules: %v", err)
		}
		if err := done(); err != nil {
			t.Error(err)
		}
	}
}

// What a dead process left is in nobody's way, and Reap removes it.
func TestFreshLeftovers(t *testing.T) {
	dir, commit := repository(t)
	f := fresh(t)
	if err := f.Reap(t.Context(), func(string) bool { return false }); err != nil {
		t.Errorf("Reap of nothing = %v", err)
	}
	want := Request{Name: "a", Repository: dir, Commit: commit}
	for range 2 {
		ws, _, err := f.Open(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(ws.Dir, "left"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Reap(t.Context(), func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(f.Work); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFreshWaitsNoLongerThanAsked(t *testing.T) {
	dir, commit := repository(t)
	f := fresh(t)
	f.origin(dir).turn <- struct{}{} // somebody fetches
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	if _, _, err := f.Open(ctx, Request{Name: "a", Repository: dir, Commit: commit}); !errors.Is(err, stopped) {
		t.Errorf("Open = %v; want the cause of its end", err)
	}
}

func TestAddressesAreShownWithoutPassword(t *testing.T) {
	for in, want := range map[string]string{
		"https://me:t0ken@example.com/r.git": "https://me:xxxxx@example.com/r.git",
		"/srv/r.git":                         "/srv/r.git",
		"git@example.com:r.git":              "git@example.com:r.git",
	} {
		if got := redacted(in); got != want {
			t.Errorf("redacted(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestInPlace(t *testing.T) {
	dir, _ := repository(t)
	linked := filepath.Join(t.TempDir(), "linked")
	sh(t, dir, "git worktree add -q "+linked)
	borrowing := filepath.Join(t.TempDir(), "borrowing")
	sh(t, dir, "git clone -q --shared . "+borrowing)
	for _, c := range []struct {
		name, dir string
		readOnly  []string
	}{
		{"plain", dir, nil},
		{"linked", linked, []string{filepath.Join(dir, ".git")}},
		{"borrowing", borrowing, []string{filepath.Join(dir, ".git/objects")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &InPlace{Dir: c.dir}
			ws, done, err := p.Open(t.Context(), Request{})
			if err != nil {
				t.Fatal(err)
			}
			if ws.Dir != c.dir || strings.Join(ws.ReadOnly, "\n") != strings.Join(c.readOnly, "\n") {
				t.Errorf("Open = %+v; want %s, %s", ws, c.dir, c.readOnly)
			}
			if err := done(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(c.dir, "file")); err != nil {
				t.Errorf("closing it changed it: %v", err)
			}
		})
	}
	if _, _, err := (&InPlace{Dir: t.TempDir()}).Open(t.Context(), Request{}); !errors.Is(err, git.ErrNotRepository) {
		t.Errorf("Open outside a repository = %v", err)
	}
}

// A mirror into which much was fetched is merged, and a repository of a user on
// this machine is left alone.
func TestFreshMaintainsMirrors(t *testing.T) {
	dir, commit := repository(t)
	f := fresh(t)
	open := func(address string, commit plan.Commit) {
		t.Helper()
		_, done, err := f.Open(t.Context(), Request{Name: "x", Repository: address, Commit: commit})
		if err != nil {
			t.Fatal(err)
		}
		f.upkeep.Wait()
		if err := done(); err != nil {
			t.Error(err)
		}
	}
	open("file://"+dir, commit)
	mirrors, err := os.ReadDir(f.Mirrors)
	if err != nil || len(mirrors) != 1 {
		t.Fatalf("mirrors are %v, %v", mirrors, err)
	}
	mirror := filepath.Join(f.Mirrors, mirrors[0].Name())
	for _, place := range []string{dir, mirror} {
		sh(t, place, `tree=$(git mktree </dev/null)
			for i in $(seq 40); do git update-ref refs/tags/t$i $(git commit-tree -m "$i in $PWD" $tree); git repack -dq; done`)
	}
	sh(t, dir, "git commit -q --allow-empty -m second")
	open("file://"+dir, head(t, dir))
	count := "ls .git/objects/pack/*.pack objects/pack/*.pack 2>/dev/null | wc -l"
	if n := sh(t, mirror, count); len(n) > 1 {
		t.Errorf("the mirror has %s packs; want them merged", n)
	}
	open(dir, head(t, dir))
	if n := sh(t, dir, count); len(n) < 2 {
		t.Errorf("the repository has %s packs; want all that it had", n)
	}
}
