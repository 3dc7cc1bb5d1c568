package app

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// A hosted repository is what a forge has: a bare one with some commits.
type hosted struct {
	t   *testing.T
	dir string
	as  forge.Repository
}

var pipeline = map[string]string{
	".velocityci/blueprints/a.yml":      "steps: [{type: run, command: 'true'}]\n",
	".velocityci/pipelines/default.yml": "stages: [{name: s, blueprints: [a]}]\n",
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newHosted(t *testing.T, number int64, name string) *hosted {
	t.Helper()
	h := &hosted{t: t, dir: filepath.Join(t.TempDir(), "hosted")}
	h.as = forge.Repository{
		Key: forge.Key{Kind: forge.GitHub, ID: number}, Name: name, DefaultBranch: "refs/heads/main", Clone: h.dir,
	}
	if out, err := exec.Command("git", "init", "-q", "-b", "main", h.dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	h.commit("one", pipeline)
	return h
}

func (h *hosted) git(args ...string) string {
	h.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", h.dir, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (h *hosted) commit(message string, files map[string]string) {
	h.t.Helper()
	for name, text := range files {
		path := filepath.Join(h.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			h.t.Fatal(err)
		}
	}
	h.git("add", "-A")
	h.git("commit", "-q", "--allow-empty", "-m", message)
}

func testMirrors(t *testing.T, now func() time.Time) *mirrors {
	t.Helper()
	m := newMirrors(t.TempDir(), []string{"file"}, silent(), now)
	t.Cleanup(m.close)
	return m
}

func refNames(t *testing.T, repo *git.Repository) []string {
	t.Helper()
	refs, _, err := repo.Refs("refs/")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, ref := range refs {
		names = append(names, ref.Name)
	}
	return names
}

func TestMirrorRefresh(t *testing.T) {
	h := newHosted(t, 7, "owner/name")
	h.git("update-ref", "refs/pull/3/head", "HEAD")
	h.git("branch", "gh-readonly-queue/main/pr-3-1")
	all := testMirrors(t, time.Now)
	m := all.of(h.as.Key)
	repo, err := m.Refresh(t.Context(), h.as, forge.Credential{}, []int64{3, 4})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"refs/heads/gh-readonly-queue/main/pr-3-1", "refs/heads/main", "refs/pull/3/head"}
	if diff := cmp.Diff(want, refNames(t, repo)); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
	if want := filepath.Join(all.folder, "github-7.git"); repo.CommonDir() != want {
		t.Errorf("the mirror is %s; want %s", repo.CommonDir(), want)
	}
	tips, err := mirrorView{view{repo}}.Tips(t.Context())
	if got := slices.Collect(maps.Keys(tips)); err != nil || !slices.Equal(got, []string{"refs/heads/main"}) {
		t.Errorf("tips: %v, %v; those of the merge queue are no pushes", got, err)
	}
	gone := h.as
	gone.Clone += "/nowhere"
	if _, err := m.Refresh(t.Context(), gone, forge.Credential{}, nil); err == nil || !strings.Contains(err.Error(), "owner/name") {
		t.Errorf("Refresh from nowhere = %v", err)
	}
}

// Whoever asks while a fetch is under way shares the next one, which brings what
// any of them wants.
// A fetch that is killed leaves the locks of refs, which no other fetch would take.
func TestMirrorOfKilledFetch(t *testing.T) {
	hub := newHosted(t, 7, "owner/name")
	m := testMirrors(t, time.Now).of(hub.as.Key)
	if _, err := m.Refresh(t.Context(), hub.as, forge.Credential{}, nil); err != nil {
		t.Fatal(err)
	}
	hub.commit("second", map[string]string{"a": "2"})
	lock := filepath.Join(m.dir, "refs", "heads", "main.lock")
	if err := errors.Join(os.MkdirAll(filepath.Dir(lock), 0o755), os.WriteFile(lock, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Refresh(t.Context(), hub.as, forge.Credential{}, nil); err != nil {
		t.Error(err)
	}
}

func TestMirrorRefreshTogether(t *testing.T) {
	h := newHosted(t, 7, "owner/name")
	for _, n := range []string{"1", "2", "3"} {
		h.git("update-ref", "refs/pull/"+n+"/head", "HEAD")
	}
	all := testMirrors(t, time.Now)
	m := all.of(h.as.Key)
	m.busy = true // as if one were under way
	var asked []*fetching
	for n := range int64(3) {
		asked = append(asked, m.ask(h.as, forge.Credential{}, []int64{n + 1}))
	}
	if asked[0] != asked[1] || asked[1] != asked[2] {
		t.Fatal("those who ask together do not share a fetch")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no patience"))
	if _, err := m.Refresh(ctx, h.as, forge.Credential{}, nil); err == nil || !strings.Contains(err.Error(), "no patience") {
		t.Errorf("Refresh of somebody who leaves = %v", err)
	}
	m.fetchAll()
	<-asked[0].done
	if asked[0].err != nil {
		t.Fatal(asked[0].err)
	}
	want := []string{"refs/heads/main", "refs/pull/1/head", "refs/pull/2/head", "refs/pull/3/head"}
	if diff := cmp.Diff(want, refNames(t, asked[0].repo)); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
	if m.busy || m.next != nil {
		t.Error("it goes on although nobody asks")
	}
	all.close()
	if _, err := m.Refresh(t.Context(), h.as, forge.Credential{}, nil); !errors.Is(err, errNotRunning) {
		t.Errorf("Refresh after the end = %v", err)
	}
}

// What was there when Refresh was called is there when it returns, for everybody.
func TestMirrorRefreshAtOnce(t *testing.T) {
	h := newHosted(t, 7, "owner/name")
	m := testMirrors(t, time.Now).of(h.as.Key)
	var work sync.WaitGroup
	var turn sync.Mutex
	for n := range int64(6) {
		work.Go(func() {
			turn.Lock()
			h.git("update-ref", h.as.Kind.Ref(n), "HEAD")
			turn.Unlock()
			repo, err := m.Refresh(t.Context(), h.as, forge.Credential{}, []int64{n})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := repo.Ref(h.as.Kind.Ref(n)); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
}

// A mirror that was not made to its end is gone on with, one that is damaged made
// anew, and one with builds left as it is.
func TestMirrorDamage(t *testing.T) {
	h := newHosted(t, 7, "owner/name")
	m := testMirrors(t, time.Now).of(h.as.Key)
	if err := os.MkdirAll(filepath.Join(m.dir, "objects", "pack"), 0o700); err != nil {
		t.Fatal(err)
	}
	refresh := func() (*git.Repository, error) { return m.Refresh(t.Context(), h.as, forge.Credential{}, nil) }
	if _, err := refresh(); err != nil {
		t.Fatalf("after half a clone: %v", err)
	}
	for name, harm := range map[string]func() error{
		"no objects": func() error { return os.RemoveAll(filepath.Join(m.dir, "objects")) },
		"no config":  func() error { return os.WriteFile(filepath.Join(m.dir, "config"), []byte("[core"), 0o600) },
		"a bad ref": func() error {
			return os.WriteFile(filepath.Join(m.dir, "refs", "heads", "main"), []byte("x\n"), 0o600)
		},
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		h.commit(name, nil)
		repo, err := refresh()
		if err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		if ref, err := repo.Ref("refs/heads/main"); err != nil || ref.String() != h.git("rev-parse", "HEAD") {
			t.Errorf("after %s: main is %s, %v", name, ref, err)
		}
	}
	repo, err := git.Open(t.Context(), m.dir)
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := storage.Open(repo, time.Now).Acquire(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(m.dir, "config")
	if err := os.WriteFile(config, []byte("[core"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := refresh(); err == nil || !strings.Contains(err.Error(), "fsck --repair") {
		t.Errorf("Refresh of a damaged mirror with builds = %v", err)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "velocity", "store")); err != nil {
		t.Errorf("its ledger is gone: %v", err)
	}
}

// Heads of closed pull requests go two weeks after Tidy was first told so.
func TestMirrorTidy(t *testing.T) {
	h := newHosted(t, 7, "owner/name")
	for _, n := range []int64{1, 2} {
		h.git("update-ref", h.as.Kind.Ref(n), "HEAD")
	}
	var passed atomic.Int64 // maintenance looks at the clock, too
	m := testMirrors(t, func() time.Time { return noon.Add(time.Duration(passed.Load())) }).of(h.as.Key)
	repo, err := m.Refresh(t.Context(), h.as, forge.Credential{}, []int64{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		open  []int64
		left  []string
	}{
		{0, []int64{1, 2}, []string{"1", "2"}},
		{keepClosed, []int64{1}, []string{"1", "2"}},
		{keepClosed - time.Second, []int64{1}, []string{"1", "2"}},
		{0, []int64{1, 2}, []string{"1", "2"}}, // opened again
		{time.Hour, []int64{1}, []string{"1", "2"}},
		{keepClosed - time.Second, nil, []string{"1", "2"}},
		{time.Second, nil, []string{"1"}},
		{keepClosed, nil, nil},
		{0, nil, nil},
	} {
		passed.Add(int64(step.after))
		if err := m.Tidy(t.Context(), step.open); err != nil {
			t.Fatal(err)
		}
		want := []string{"refs/heads/main"}
		for _, n := range step.left {
			want = append(want, "refs/pull/"+n+"/head")
		}
		if diff := cmp.Diff(want, refNames(t, repo)); diff != "" {
			t.Errorf("%+v: refs (-want +got):\n%s", step, diff)
		}
	}
}
