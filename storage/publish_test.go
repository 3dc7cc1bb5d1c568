package storage_test

import (
	"context"
	"errors"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// A place is a repository with a clock of its own that publishes.
type place struct {
	t      *testing.T
	dir    string
	store  *storage.Store
	remote *git.Remote
	clock  time.Time
	waits  []time.Duration
	meet   func() // called while it waits
}

func newPlace(t *testing.T, dir, remote string) *place {
	t.Helper()
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	repo, err := git.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, dir: dir, clock: start}
	p.store = storage.Open(repo, func() time.Time { return p.clock })
	if p.remote, err = repo.Remote(t.Context(), remote); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) publish(o storage.PublishOptions) (int, error) {
	p.t.Helper()
	o.Waiting = func(d time.Duration) { p.waits = append(p.waits, d) }
	o.Sleep = func(_ context.Context, d time.Duration) error {
		p.clock = p.clock.Add(d)
		if meet := p.meet; meet != nil {
			p.meet = nil
			meet()
		}
		return nil
	}
	return p.store.Publish(p.t.Context(), p.remote, o)
}

func (p *place) published(want int, o storage.PublishOptions) {
	p.t.Helper()
	if sent, err := p.publish(o); sent != want || err != nil {
		p.t.Fatalf("Publish = %d, %v; want %d refs sent", sent, err, want)
	}
}

// refs maps the names of refs below a prefix to their values.
func refs(tb testing.TB, dir, prefix string) map[string]string {
	tb.Helper()
	found := map[string]string{}
	for line := range strings.Lines(cli(tb, dir, "for-each-ref", "--format=%(refname) %(objectname)", prefix)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[name] = value
	}
	return found
}

// TestPublishPace: no more than six pushes a minute go to a remote, whichever
// process sends them.
func TestPublishPace(t *testing.T) {
	dir, commits := newRepo(t, 4)
	hub, _ := newRepo(t, 4)
	for i, c := range commits {
		recorded(t, dir, c)
		p := newPlace(t, dir, hub) // as another process would
		p.clock = start.Add(time.Duration(i) * time.Second)
		p.published(2, storage.PublishOptions{})
		want := map[int][]time.Duration{3: {57 * time.Second}}[i] // two pushes each: the fourth waits until the first is a minute ago
		if diff := cmp.Diff(want, p.waits); diff != "" {
			t.Errorf("waits of publish %d (-want +got):\n%s", i, diff)
		}
		p.published(0, storage.PublishOptions{}) // up to date: no push, no wait
	}
}

// TestPublishAgain: notes that somebody else sent in between are merged and sent
// again.
func TestPublishAgain(t *testing.T) {
	hub, commits := newRepo(t, 4)
	one, _ := newRepo(t, 4)
	two, _ := newRepo(t, 4)
	p, other := newPlace(t, one, hub), newPlace(t, two, hub)
	for _, c := range commits[:3] { // so that the next one waits between its list and its push
		recorded(t, one, c)
		p.published(2, storage.PublishOptions{})
	}
	recorded(t, one, commits[3])
	recorded(t, two, commits[0])
	p.meet = func() { other.published(2, storage.PublishOptions{}) }
	p.published(2, storage.PublishOptions{})
	for _, dir := range []string{one, hub} {
		note := cli(t, dir, "notes", "--ref=velocity", "show", string(commits[0]))
		if n := strings.Count(note, "default: succeeded"); n != 2 {
			t.Errorf("%d lines in the note of the first commit, want both:\n%s", n, note)
		}
	}
	fsck(t, hub)
}

// TestPublishLogsOfOthers: logs at the remote are replaced only if they came from
// here, and keep nothing else from being sent.
func TestPublishLogsOfOthers(t *testing.T) {
	hub, commits := newRepo(t, 2)
	dir, _ := newRepo(t, 2)
	p := newPlace(t, dir, hub)
	id := recorded(t, dir, commits[0])[0]
	p.published(3, storage.PublishOptions{Logs: true})
	recorded(t, dir, commits[1])
	p.clock = p.clock.Add(time.Hour)
	p.published(3, storage.PublishOptions{Logs: true}) // renewed, and ours
	logs := "refs/velocity/" + id.Store + "/logs/00000"
	foreign := dated(t, hub, logs)
	cli(t, hub, "update-ref", logs, foreign)
	recorded(t, dir, commits[0])
	p.clock = p.clock.Add(time.Hour)
	sent, err := p.publish(storage.PublishOptions{Logs: true})
	var conflict *storage.ConflictError
	if !errors.As(err, &conflict) || conflict.Ref != logs || sent != 2 {
		t.Errorf("Publish = %d, %v; want archive and notes sent and a conflict about %s", sent, err, logs)
	}
	if got := cli(t, hub, "rev-parse", logs); got != foreign {
		t.Errorf("%s is %s, want it left at %s", logs, got, foreign)
	}
}

// TestPublishAfterPurge: what was rewritten here replaces what is there only if
// asked for, only what was published from here, and takes nothing from others.
func TestPublishAfterPurge(t *testing.T) {
	hub, commits := newRepo(t, 2)
	dir, _ := newRepo(t, 2)
	other, _ := newRepo(t, 2)
	p := newPlace(t, dir, hub)
	id := recorded(t, dir, commits...)[0]
	p.published(3, storage.PublishOptions{Logs: true})
	before := refs(t, hub, "refs")
	recorded(t, other, commits[0])
	newPlace(t, other, hub).published(2, storage.PublishOptions{})

	archive, logs := "refs/velocity/"+id.Store+"/archive/0000", "refs/velocity/"+id.Store+"/logs/00000"
	cli(t, dir, "update-ref", "-d", logs)
	purged := cli(t, dir, "commit-tree", "-m", "purged", cli(t, dir, "mktree"))
	cli(t, dir, "update-ref", archive, purged)
	cli(t, dir, "notes", "--ref=velocity", "remove", string(commits[0]))
	cli(t, dir, "update-ref", "refs/notes/velocity", dated(t, dir, "refs/notes/velocity"))

	there := refs(t, hub, "refs")
	var conflict *storage.ConflictError
	if _, err := p.publish(storage.PublishOptions{}); !errors.As(err, &conflict) || conflict.Ref != archive {
		t.Errorf("Publish without the flag: %v, want a conflict about %s", err, archive)
	}
	if diff := cmp.Diff(there, refs(t, hub, "refs")); diff != "" {
		t.Errorf("without the flag (-before +after):\n%s", diff)
	}
	p.published(3, storage.PublishOptions{AfterPurge: true})
	after := refs(t, hub, "refs")
	if after[logs] != "" {
		t.Errorf("%s is still there", logs)
	}
	if after[archive] != purged {
		t.Errorf("%s is %s, want %s", archive, after[archive], purged)
	}
	if out, err := try(hub, "merge-base", "--is-ancestor", before["refs/notes/velocity"], after["refs/notes/velocity"]); err == nil {
		t.Errorf("the notes there still lead to what was purged: %s", out)
	}
	if note := cli(t, hub, "notes", "--ref=velocity", "show", string(commits[0])); strings.Count(note, "default: succeeded") != 1 || strings.Contains(note, id.Store) {
		t.Errorf("note = %q, want the other repository's line alone", note)
	}

	foreign := cli(t, hub, "commit-tree", "-m", "foreign", purged+"^{tree}")
	cli(t, hub, "update-ref", archive, foreign)
	p.clock = p.clock.Add(time.Hour)
	if _, err := p.publish(storage.PublishOptions{AfterPurge: true}); !errors.As(err, &conflict) {
		t.Errorf("Publish over what is not ours: %v, want a conflict", err)
	}
	if got := cli(t, hub, "rev-parse", archive); got != foreign {
		t.Errorf("%s is %s, want it left at %s", archive, got, foreign)
	}
}

// TestPublishOverHTTP uses git's own server program.
func TestPublishOverHTTP(t *testing.T) {
	hub, commits := newRepo(t, 1)
	cli(t, hub, "config", "http.receivepack", "true")
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(cli(t, hub, "--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(hub), "GIT_HTTP_EXPORT_ALL=1"},
	})
	defer server.Close()
	url := server.URL + "/" + filepath.Base(hub)
	dir, _ := newRepo(t, 1)
	id := recorded(t, dir, commits...)[0]
	newPlace(t, dir, url).published(3, storage.PublishOptions{Logs: true})
	reader, _ := newRepo(t, 1)
	r := newPlace(t, reader, url)
	done, err := r.store.Fetch(t.Context(), r.remote, true)
	if diff := cmp.Diff(storage.Fetched{Stores: 1, Blocks: 2, Notes: true}, done); diff != "" || err != nil {
		t.Fatalf("Fetch: %v (-want +got):\n%s", err, diff)
	}
	checkReadable(t, reader, id)
	if note := cli(t, reader, "notes", "--ref=velocity", "show", string(commits[0])); !strings.Contains(note, "default: succeeded") {
		t.Errorf("note = %q", note)
	}
}

func TestPublishNothing(t *testing.T) {
	hub, _ := newRepo(t, 0)
	dir, _ := newRepo(t, 0)
	if _, err := newPlace(t, dir, hub).publish(storage.PublishOptions{}); !errors.Is(err, storage.ErrNothingBuilt) {
		t.Errorf("Publish = %v, want ErrNothingBuilt", err)
	}
}

// A purge of all that a block held leaves nothing to send, and the remote is not
// up to date with it.
func TestPublishAfterTheLastBuildWasPurged(t *testing.T) {
	hub, commits := newRepo(t, 1)
	dir, _ := newRepo(t, 1)
	p := newPlace(t, dir, hub)
	id := recorded(t, dir, commits[0])[0]
	p.published(2, storage.PublishOptions{})
	l, release := acquireIn(t, dir, nil)
	if _, err := l.Purge(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	release()
	var conflict *storage.ConflictError
	if _, err := p.publish(storage.PublishOptions{}); !errors.As(err, &conflict) {
		t.Errorf("Publish = %v; want a conflict", err)
	}
	if _, err := p.publish(storage.PublishOptions{AfterPurge: true}); err != nil {
		t.Errorf("Publish after the purge = %v", err)
	}
	if left := refs(t, hub, "refs/velocity"); len(left) > 0 {
		t.Errorf("the remote has %v", left)
	}
	if out, err := try(hub, "notes", "--ref=velocity", "show", string(commits[0])); err == nil && strings.Contains(out, id.Store) {
		t.Errorf("the remote's note still tells of the build: %s", out)
	}
}
