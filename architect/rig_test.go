package architect_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/memory"
	"github.com/velocity-ci/velocity/storage/running"
)

// files is the configuration of a commit.
type files map[string]string

func (f files) List(dir string) ([]string, error) {
	var names []string
	for name := range f {
		if strings.HasPrefix(name, dir+"/") {
			names = append(names, name)
		}
	}
	return names, nil
}

func (f files) Read(path string) ([]byte, error) {
	text, ok := f[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

// repository is what plans are drawn from.
type repository struct {
	head    string
	panics  bool
	message string // of all commits; "" for one that says nothing special

	mu      sync.Mutex
	commits map[plan.Commit]files
	parents map[plan.Commit]plan.Commit
	tips    map[string]plan.Commit
}

func (r *repository) Tips(context.Context) (map[string]plan.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.tips), nil
}

func (r *repository) Head(context.Context) (string, error) { return r.head, nil }

func (r *repository) Tree(_ context.Context, c plan.Commit) (blueprint.Tree, plan.Commit, error) {
	if r.panics {
		panic("poison")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.commits[c]
	if !ok {
		return nil, c, fmt.Errorf("read %s: %w", c, architect.ErrGone)
	}
	return f, c, nil
}

func (r *repository) Facts(_ context.Context, c plan.Commit, ref string) func(string) (string, error) {
	return func(name string) (string, error) {
		switch name {
		case "git.branch":
			return plan.Branch(ref), nil
		case "git.commit.author":
			return "Ann <ann@example.org>", nil
		case "git.commit.message":
			if r.message != "" {
				return r.message, nil
			}
			return "say\x1b why " + strings.Repeat("é", 200) + "\n\nat length", nil
		}
		return string(c), nil
	}
}

func (r *repository) MergeBase(ctx context.Context, a, b plan.Commit) (plan.Commit, error) {
	left, _ := r.Ancestors(ctx, a, 100)
	right, _ := r.Ancestors(ctx, b, 100)
	for _, c := range append([]plan.Commit{a}, left...) {
		if c == b || slices.Contains(right, c) {
			return c, nil
		}
	}
	return "", nil
}

func (r *repository) Ancestors(_ context.Context, c plan.Commit, limit int) ([]plan.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []plan.Commit
	for c = r.parents[c]; c != "" && len(all) < limit; c = r.parents[c] {
		all = append(all, c)
	}
	return all, nil
}

func (r *repository) Differ(_ context.Context, from, to plan.Commit, some plan.Patterns) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range []files{r.commits[from], r.commits[to]} {
		for name := range f {
			if some.Selects(name) && r.commits[from][name] != r.commits[to][name] {
				return true, nil
			}
		}
	}
	return false, nil
}

func (r *repository) Digest(_ context.Context, c plan.Commit, some plan.Patterns) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.commits[c])) {
		if some.Selects(name) {
			fmt.Fprintf(sum, "%q %q", name, r.commits[c][name])
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// history is the ledger's, in the architect's words.
type history struct{ *memory.Ledger }

func (h history) Live(ctx context.Context) ([]architect.Loaded, error) {
	stored, err := h.Ledger.Live(ctx)
	var loaded []architect.Loaded
	for _, l := range stored {
		loaded = append(loaded, architect.Loaded(l))
	}
	return loaded, err
}

func (h history) OfCommit(ctx context.Context, c plan.Commit) ([]architect.Known, error) {
	stored, err := h.Ledger.OfCommit(ctx, c)
	var known []architect.Known
	for _, k := range stored {
		known = append(known, architect.Known(k))
	}
	return known, err
}

func (h history) Recorded(ctx context.Context, id build.ID) (architect.Loaded, bool, error) {
	b, _, err := h.Ledger.Build(ctx, id)
	if errors.Is(err, storage.ErrNoBuild) {
		return architect.Loaded{}, false, nil
	}
	if err != nil {
		return architect.Loaded{}, false, err
	}
	p, err := h.Ledger.Plan(ctx, id)
	return architect.Loaded{Build: b, Plan: p}, true, err
}

// rig is an architect with one site and one scripted builder.
type rig struct {
	t      *testing.T
	a      *architect.Architect
	site   *architect.Site
	repo   *repository
	ledger *memory.Ledger
	worker *worker
	wire   *dispatch.Direct
	closed chan *build.Build

	mu     sync.Mutex
	clock  time.Time
	folded func(build.ID)
}

// tell has the ledger tell another one what it folded.
func (g *rig) tell(folded func(build.ID)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.folded = folded
}

// told is called by the ledger, whenever that has folded a build.
func (g *rig) told(id build.ID) {
	g.mu.Lock()
	folded := g.folded
	g.mu.Unlock()
	folded(id)
}

func (g *rig) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock = g.clock.Add(time.Millisecond)
	return g.clock
}

func (g *rig) advance(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock = g.clock.Add(d)
}

const head = plan.Commit("1111111111111111111111111111111111111111")

// newRig serves config at refs/heads/main. script plays the builder.
func newRig(t *testing.T, config files, play script) *rig {
	t.Helper()
	g := &rig{t: t, clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), closed: make(chan *build.Build, 100)}
	g.ledger = memory.New(g.told)
	t.Cleanup(g.ledger.Release)
	g.repo = &repository{
		commits: map[plan.Commit]files{head: config},
		tips:    map[string]plan.Commit{"refs/heads/main": head},
		head:    "refs/heads/main",
	}
	logs, err := running.New(filepath.Join(t.TempDir(), "running"))
	if err != nil {
		t.Fatal(err)
	}
	g.wire = &dispatch.Direct{Name: "b"}
	g.a = architect.New(g.wire, slog.New(slog.NewTextHandler(io.Discard, nil)), g.now)
	g.a.Closed = func(b *build.Build) { g.closed <- b }
	g.tell(g.a.Folded)
	g.worker = &worker{ear: g.wire, script: play, boot: "one"}
	g.wire.Worker, g.wire.Ear = g.worker, g.a
	g.site = &architect.Site{
		Name: "repo", Source: "/repo", Ledger: g.ledger, Inbox: g.ledger,
		History: history{g.ledger}, Repo: g.repo, Logs: logs,
	}
	return g
}

// run opens the site and runs the architect until the test ends.
func (g *rig) run() {
	g.t.Helper()
	if err := g.a.Open(g.t.Context(), g.site); err != nil {
		g.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.a.Run(ctx) }()
	g.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			g.t.Errorf("Run = %v", err)
		}
	})
}

// here shows the builder to the architect.
func (g *rig) here() {
	g.t.Helper()
	if err := g.wire.Here(g.t.Context(), g.worker.presence()); err != nil {
		g.t.Fatal(err)
	}
}

// live lets d pass on the clock, in which the builder shows that it is there: the
// architect looks whenever it likes, and loses who was silent for too long.
func (g *rig) live(d time.Duration) {
	g.t.Helper()
	for ; d > 0; d -= dispatch.BeatEvery {
		g.advance(min(d, dispatch.BeatEvery))
		g.here()
	}
}

// final waits for the next build to end.
func (g *rig) final() *build.Build {
	g.t.Helper()
	select {
	case b := <-g.closed:
		return b
	case <-time.After(30 * time.Second):
		g.t.Fatalf("no build ended; unfinished: %v", g.a.Unfinished())
		return nil
	}
}

func (g *rig) submit(t plan.Trigger) {
	if t.ID == "" {
		t.ID = fmt.Sprint("t", g.now().UnixNano())
	}
	if err := g.ledger.Accept(g.t.Context(), []plan.Trigger{t}); err != nil {
		g.t.Fatal(err)
	}
	g.site.Wake()
}

// A script says what the builder does with an attempt. wait blocks until the
// attempt is stopped and returns the reason. A result without a verdict is never
// sent: the builder is lost with it.
type script func(a dispatch.Assignment, wait func() string) dispatch.Result

// worker is a builder that plays a script.
type worker struct {
	ear    *dispatch.Direct
	script script

	mu      sync.Mutex
	boot    string
	strange bool // takes code of strangers
	running map[dispatch.Attempt]chan string
	refuse  error
}

func (w *worker) presence() dispatch.Presence {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := dispatch.Presence{Boot: w.boot, Capacity: 4, Untrusted: w.strange, Executors: []string{"docker"}}
	for at := range w.running {
		p.Running = append(p.Running, at)
	}
	return p
}

func (w *worker) Take(a dispatch.Assignment) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return w.refuse
	}
	if w.running == nil {
		w.running = map[dispatch.Attempt]chan string{}
	}
	stopped := make(chan string, 10)
	w.running[a.Attempt] = stopped
	go func() {
		r := w.script(a, func() string { return <-stopped })
		if r.Verdict != "" {
			w.end(a, r)
		}
	}()
	return nil
}

// end reports until it is answered.
func (w *worker) end(a dispatch.Assignment, r dispatch.Result) {
	w.mu.Lock()
	delete(w.running, a.Attempt)
	w.mu.Unlock()
	r.Attempt = a.Attempt
	r.Steps = make([]build.Step, len(a.Task.Steps)+1)
	for i := range r.Steps {
		r.Steps[i].State = build.Succeeded
	}
	if r.Log.Bytes == 0 {
		r.Log = logOf("")
	}
	for {
		err := w.ear.End(context.Background(), r)
		if err == nil && r.Verdict == dispatch.Interrupted {
			err = w.ear.Here(context.Background(), w.presence()) // it goes on, which is not a matter of course
		}
		if err == nil || errors.Is(err, dispatch.ErrStale) {
			return
		}
	}
}

func logOf(text string) build.Log {
	sum := sha256.Sum256([]byte(text))
	return build.Log{Bytes: int64(len(text)), SHA256: hex.EncodeToString(sum[:])}
}

func (w *worker) Stop(a dispatch.Attempt, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch := w.running[a]; ch != nil {
		select {
		case ch <- reason:
		default: // it was told often enough
		}
	}
	return nil
}

func succeed(dispatch.Assignment, func() string) dispatch.Result {
	return dispatch.Result{Verdict: dispatch.Succeeded}
}

// twoStages is a pipeline of a and b, then c.
func twoStages() files {
	step := "steps:\n  - type: run\n    command: \"true\"\n"
	return files{
		".velocityci/blueprints/a.yml": step, ".velocityci/blueprints/b.yml": step, ".velocityci/blueprints/c.yml": step,
		".velocityci/pipelines/default.yml": "stages:\n  - name: one\n    blueprints: [a, b]\n  - name: two\n    blueprints: [c]\n",
	}
}

// contained are the same files with steps in containers.
func contained(f files) files {
	for name, text := range f {
		f[name] = strings.ReplaceAll(text, "    command:", "    image: busybox\n    command:")
	}
	return f
}

// build is what the ledger has of a build.
func (g *rig) build(id build.ID) (*build.Build, []build.Move) {
	g.t.Helper()
	b, moves, err := g.ledger.Build(g.t.Context(), id)
	if err != nil {
		g.t.Fatal(err)
	}
	return b, moves
}

// tips are what the ledger remembers of refs.
func (g *rig) tips() map[string]plan.Commit {
	g.t.Helper()
	tips, _, err := g.ledger.Tips(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return tips
}
