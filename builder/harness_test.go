package builder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/host"
	"github.com/velocity-ci/velocity/builder/source"
)

// An ear is an architect that remembers all it is told. It is asked through the
// real wire within a process. The hooks, if set, may answer in its place.
type ear struct {
	onLog  func(c dispatch.Chunk) (have int64, err error, answered bool)
	onStep func(dispatch.Progress) error
	onEnd  func(dispatch.Result) error

	here chan dispatch.Presence
	ends chan dispatch.Result

	mu       sync.Mutex
	files    map[dispatch.File][]byte
	progress []dispatch.Progress
	said     bytes.Buffer // everything, as it would go over the wire
	grown    chan struct{}
}

func newEar() *ear {
	return &ear{
		here: make(chan dispatch.Presence, 100), ends: make(chan dispatch.Result, 100),
		files: map[dispatch.File][]byte{}, grown: make(chan struct{}),
	}
}

func (e *ear) hear(message any) {
	data, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said.Write(data)
}

func (e *ear) Here(ctx context.Context, p dispatch.Presence) error {
	e.hear(p)
	select {
	case e.here <- p:
		return nil
	case <-ctx.Done(): // nobody listens any more, and the builder does not wait for it
		return ctx.Err()
	}
}

func (e *ear) Step(_ context.Context, _ string, p dispatch.Progress) error {
	e.hear(p)
	if e.onStep != nil {
		if err := e.onStep(p); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.progress = append(e.progress, p)
	e.wake()
	return nil
}

func (e *ear) Log(_ context.Context, _ string, c dispatch.Chunk) (int64, error) {
	if e.onLog != nil {
		if have, err, answered := e.onLog(c); answered {
			return have, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said.Write(c.Data)
	have := e.files[c.File]
	if c.Offset <= int64(len(have)) {
		e.files[c.File] = append(have[:c.Offset], c.Data...)
	}
	e.wake()
	return int64(len(e.files[c.File])), nil
}

func (e *ear) End(_ context.Context, _ string, r dispatch.Result) error {
	e.hear(r)
	if e.onEnd != nil {
		if err := e.onEnd(r); err != nil {
			return err
		}
	}
	e.ends <- r
	return nil
}

// wake tells whoever awaits something. The caller holds e.mu.
func (e *ear) wake() {
	close(e.grown)
	e.grown = make(chan struct{})
}

// text is the log as far as it has come.
func (e *ear) text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.files[dispatch.TextFile])
}

// await returns once the log holds what.
func (e *ear) await(t *testing.T, what string) {
	t.Helper()
	e.until(t, func() bool { return strings.Contains(string(e.files[dispatch.TextFile]), what) })
}

// until returns once the architect knows what is asked for.
func (e *ear) until(t *testing.T, known func() bool) {
	t.Helper()
	for {
		e.mu.Lock()
		grown, ok := e.grown, known()
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-grown:
		case r := <-e.ends:
			t.Fatalf("the attempt ended too early: %+v, its log %q", r, e.text())
		}
	}
}

// folders are workspaces that are made by a function instead of git.
type folders struct {
	root string
	fill func(dir string) error
	err  error

	mu     sync.Mutex
	opened int
}

func (f *folders) Open(_ context.Context, want source.Request) (source.Workspace, func() error, error) {
	f.mu.Lock()
	f.opened++
	f.mu.Unlock()
	dir := filepath.Join(f.root, want.Name)
	if f.err != nil {
		return source.Workspace{}, nil, f.err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return source.Workspace{}, nil, err
	}
	if f.fill != nil {
		if err := f.fill(dir); err != nil {
			return source.Workspace{}, nil, err
		}
	}
	return source.Workspace{Dir: dir}, func() error {
		return os.RemoveAll(dir)
	}, nil
}

func (f *folders) Reopen(_ context.Context, want source.Request) (source.Workspace, func() error, error) {
	dir := filepath.Join(f.root, want.Name)
	_, err := os.Stat(dir)
	return source.Workspace{Dir: dir}, func() error { return os.RemoveAll(dir) }, err
}

func (f *folders) Reap(context.Context, func(string) bool) error { return nil }

// A bench is a builder with all it needs, and the architect it speaks to.
type bench struct {
	*Builder
	ear     *ear
	folders *folders
	log     *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newBench makes a builder for two attempts that is not running yet.
func newBench(tb testing.TB) *bench {
	tb.Helper()
	w := &bench{ear: newEar(), folders: &folders{root: tb.TempDir()}, log: &syncBuffer{}}
	w.Builder = &Builder{
		Name: "b1", Boot: "boot1", Capacity: 2,
		Workspaces: w.folders,
		Host:       &host.Executor{Builder: "b1", Base: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + tb.TempDir()}},
		SpoolDir:   tb.TempDir(),
		Grace:      time.Minute,
		Log:        slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:        time.Now,
	}
	w.pace.pause = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
	w.Architect = &dispatch.Direct{Name: w.Name, Worker: w.Builder, Ear: w.ear}
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.Run(ctx)
	})
	return w
}

// take assigns a task as the first attempt and returns what it was assigned as.
func (w *bench) take(t testing.TB, task plan.Task, change ...func(*dispatch.Assignment)) dispatch.Attempt {
	t.Helper()
	task.Key, task.Name = "s0t0", "test"
	a := dispatch.Assignment{
		Attempt: dispatch.Attempt{Build: build.ID{Store: "k3f9a2", Number: 7}, Task: task.Key, Number: 1},
		Source:  "nowhere",
		Commit:  "0123456789012345678901234567890123456789",
		Git:     map[string]string{"git.branch": "main"},
		Values:  map[string]string{"build.number": "7"},
		Task:    task,
	}
	for _, f := range change {
		f(&a)
	}
	if err := w.Take(a); err != nil {
		t.Fatalf("Take(%s) = %v", a.Attempt, err)
	}
	return a.Attempt
}

// build runs a task to its end.
func (w *bench) build(t testing.TB, task plan.Task, change ...func(*dispatch.Assignment)) dispatch.Result {
	t.Helper()
	w.take(t, task, change...)
	r := <-w.ear.ends
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.draining = false
	w.mu.Unlock()
	return r
}

// checkLog compares the log that arrived with what the result says about it.
func (w *bench) checkLog(t testing.TB, r dispatch.Result) {
	t.Helper()
	text := w.ear.text()
	sum := sha256.Sum256([]byte(text))
	want := build.Log{Bytes: int64(len(text)), Lines: strings.Count(text, "\n"), SHA256: hex.EncodeToString(sum[:])}
	if text != "" && !strings.HasSuffix(text, "\n") {
		want.Lines++
	}
	if r.Log != want {
		t.Errorf("result says the log is %+v, what arrived is %+v", r.Log, want)
	}
	w.ear.mu.Lock()
	defer w.ear.mu.Unlock()
	if got := int64(len(w.ear.files[dispatch.TimesFile])); got != r.Times {
		t.Errorf("result says there are %d bytes of times, %d arrived", r.Times, got)
	}
}

// checkClean fails if anything is left on the disk.
func (w *bench) checkClean(t testing.TB) {
	t.Helper()
	for _, dir := range []string{w.SpoolDir, w.folders.root} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
}

// script is a task of run steps, each with a script.
func script(texts ...string) plan.Task {
	var task plan.Task
	for _, t := range texts {
		task.Steps = append(task.Steps, plan.Step{Type: plan.StepRun, Name: "a step", Run: &plan.Run{Script: t}})
	}
	return task
}

// command is a task of one run step with a command.
func command(words ...plan.Text) plan.Task {
	return plan.Task{Steps: []plan.Step{{Type: plan.StepRun, Name: "a step", Run: &plan.Run{Command: words}}}}
}

func states(r dispatch.Result) []build.State {
	var all []build.State
	for _, s := range r.Steps {
		all = append(all, s.State)
	}
	return all
}

func given(s string) *string { return &s }

// scripted is an executor whose answers a test writes.
type scripted struct {
	answer func(ctx context.Context, cmd executor.Command) (executor.Result, error)

	mu   sync.Mutex
	seen []executor.Command
}

func (s *scripted) Run(ctx context.Context, cmd executor.Command) (executor.Result, error) {
	s.mu.Lock()
	s.seen = append(s.seen, cmd)
	s.mu.Unlock()
	return s.answer(ctx, cmd)
}

func (s *scripted) Reap(context.Context, func(string) bool) (int, error) { return 0, nil }

func (s *scripted) commands() []executor.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// engine is a scripted executor of containers.
type engine struct {
	scripted
	absent error

	resume func(ctx context.Context, container string, cmd executor.Command) (executor.Result, error)

	// What the images' calls answer with; nil is success.
	login func(executor.Login) error
	build func(context.Context, executor.ImageBuild) error
	push  func(context.Context, executor.ImagePush) error

	logins []executor.Login // in order
	builds []executor.ImageBuild
	pushes []executor.ImagePush
}

func (e *engine) Login(_ context.Context, l executor.Login) (executor.Login, error) {
	e.logins = append(e.logins, l)
	l.Registry = strings.TrimPrefix(l.Registry, "https://")
	if e.login == nil {
		return l, nil
	}
	return l, e.login(l)
}

func (e *engine) Build(ctx context.Context, b executor.ImageBuild) ([]executor.Image, error) {
	e.builds = append(e.builds, b)
	if e.build != nil {
		if err := e.build(ctx, b); err != nil {
			return nil, err
		}
	}
	return digests("built", b.Tags), nil
}

func (e *engine) Push(ctx context.Context, p executor.ImagePush) ([]executor.Image, error) {
	e.pushes = append(e.pushes, p)
	if e.push != nil {
		if err := e.push(ctx, p); err != nil {
			return nil, err
		}
	}
	return digests("pushed", p.Tags), nil
}

func digests(how string, tags []string) (all []executor.Image) {
	for _, tag := range tags {
		all = append(all, executor.Image{Name: tag, Digest: "sha256:" + how})
	}
	return all
}

func (e *engine) Resume(ctx context.Context, container string, cmd executor.Command) (executor.Result, error) {
	return e.resume(ctx, container, cmd)
}

func (e *engine) Available(context.Context) error { return e.absent }
