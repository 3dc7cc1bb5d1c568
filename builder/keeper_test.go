package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// memories is a keeper that forgets with the test. Before each answer it asks
// fault, unless that is nil.
type memories struct {
	fault func(what string) error

	mu   sync.Mutex
	kept map[string][]byte
	list map[string][]build.Artifact
	said []string
}

func newMemories() *memories {
	return &memories{kept: map[string][]byte{}, list: map[string][]build.Artifact{}}
}

func (m *memories) put(what string, p Pack) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, what)
	if m.fault != nil {
		if err := m.fault(what); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(p.Path)
	if err == nil && int64(len(data)) != p.Size {
		err = fmt.Errorf("the parcel has %d bytes, not %d", len(data), p.Size)
	}
	m.kept[what], m.list[what] = data, p.Files
	return err
}

func (m *memories) get(what string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, "get "+what)
	if m.fault != nil {
		if err := m.fault("get " + what); err != nil {
			return nil, err
		}
	}
	if m.kept[what] == nil {
		return nil, ErrNothingKept
	}
	return io.NopCloser(strings.NewReader(string(m.kept[what]))), nil
}

func (m *memories) Artifacts(_ context.Context, _ dispatch.Assignment, of dispatch.Need) (io.ReadCloser, error) {
	return m.get("artifacts of " + of.Task)
}

func (m *memories) KeepArtifacts(_ context.Context, a dispatch.Assignment, p Pack) error {
	return m.put("artifacts of "+a.Attempt.Task, p)
}

func (m *memories) Cache(_ context.Context, a dispatch.Assignment, name string) (io.ReadCloser, error) {
	return m.get(string(a.Caches) + " cache " + name)
}

func (m *memories) KeepCache(_ context.Context, a dispatch.Assignment, name string, p Pack) error {
	return m.put(string(a.Caches)+" cache "+name, p)
}

// keepingBench is a bench with a keeper.
func keepingBench(t *testing.T) (*bench, *memories) {
	t.Helper()
	w, m := newBench(t), newMemories()
	w.Keeper = m
	return w, m
}

func trusted(a *dispatch.Assignment) { a.Caches, a.CacheWrite = dispatch.TrustedCaches, true }

func TestArtifactsAreKeptAndNeeded(t *testing.T) {
	w, m := keepingBench(t)
	task := script("mkdir out; echo one >out/a; echo two >out/b")
	task.Artifacts = []string{"out"}
	r := w.build(t, task)
	var names []string
	for _, a := range r.Artifacts {
		names = append(names, fmt.Sprint(a.Name, " ", a.Size, " ", len(a.SHA256)))
	}
	if diff := cmp.Diff([]string{"out/a 4 64", "out/b 4 64"}, names); diff != "" || r.Verdict != dispatch.Succeeded {
		t.Errorf("%s %s (-want +got):\n%s", r.Verdict, r.Reason, diff)
	}
	w.checkClean(t)

	next := func(a *dispatch.Assignment) {
		a.Attempt.Number, a.Needs = 2, []dispatch.Need{{Name: "make", Of: a.Attempt.Build, Task: "s0t0"}}
	}
	w.ear.reset()
	if r := w.build(t, script("cat out/a out/b"), next); r.Verdict != dispatch.Succeeded {
		t.Errorf("needing them: %s %s", r.Verdict, r.Reason)
	}
	if text := w.ear.text(); !strings.Contains(text, "artifacts of make: 2 files, 8 bytes\none\ntwo\n") {
		t.Errorf("log:\n%s", text)
	}

	// what is not kept, or is no parcel, fails the task for good
	m.kept["artifacts of s0t0"] = []byte("noise")
	third := func(a *dispatch.Assignment) { next(a); a.Attempt.Number = 3 }
	if r := w.build(t, script("true"), third); r.Verdict != dispatch.Failed || !strings.Contains(r.Reason, "artifacts of make: the archive is damaged") {
		t.Errorf("noise: %s %q", r.Verdict, r.Reason)
	}
	delete(m.kept, "artifacts of s0t0")
	fourth := func(a *dispatch.Assignment) { next(a); a.Attempt.Number = 4 }
	if r := w.build(t, script("true"), fourth); r.Verdict != dispatch.Failed || !strings.Contains(r.Reason, "build it again") {
		t.Errorf("none: %s %q", r.Verdict, r.Reason)
	}
	w.checkClean(t)
}

func TestArtifactsThatCannotBeKept(t *testing.T) {
	away := errors.New("connection refused")
	for _, tt := range []struct {
		name, script string
		fault        func(string) error
		verdict      dispatch.Verdict
		reason       string
		tries        int
	}{
		{"of a failure", "echo x >out; exit 3", nil, dispatch.Failed, "exit 3", 1},
		{"nothing matches", "true", nil, dispatch.Succeeded, "", 1},
		{"refused", "echo x >out", func(string) error { return &KeepError{Reason: "too large"} }, dispatch.Failed, "artifacts could not be kept: too large", 1},
		{"away", "echo x >out", func(string) error { return away }, dispatch.Interrupted, "artifacts could not be kept: connection refused", keepTries},
		{"away for a failure", "echo x >out; exit 3", func(string) error { return away }, dispatch.Failed, "exit 3", keepTries},
		{"a link out", "ln -s /etc/passwd out", nil, dispatch.Failed, `artifacts could not be kept: "out" links to "/etc/passwd", which is not within the workspace`, 0},
		{"a secret in a name", "echo x >out-hunter22hunter22", nil, dispatch.Failed, "artifacts could not be kept: the name of a file holds a secret", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, m := keepingBench(t)
			m.fault = tt.fault
			task := script(tt.script)
			task.Artifacts = []string{"out*"}
			task.Parameters = []plan.Parameter{{Name: "password", Secret: true}}
			r := w.build(t, task, func(a *dispatch.Assignment) { a.Values["password"] = "hunter22hunter22" })
			if r.Verdict != tt.verdict || r.Reason != tt.reason || len(m.said) != tt.tries {
				t.Errorf("%s %q after %d tries; want %s %q after %d", r.Verdict, r.Reason, len(m.said), tt.verdict, tt.reason, tt.tries)
			}
			if tt.reason != "" && len(r.Artifacts) > 0 && tt.fault != nil {
				t.Errorf("what was not kept is listed: %v", r.Artifacts)
			}
			w.checkClean(t)
		})
	}
}

// caching is a task that makes a folder unless it finds it.
func caching() plan.Task {
	task := script("test -e deps && echo found $(cat deps/x) || { mkdir deps; echo made >deps/x; }")
	task.Caches = []plan.Cache{{Key: "go-${git.branch}", Files: []string{"lock"}, Paths: []string{"deps"}}}
	return task
}

func TestCaches(t *testing.T) {
	w, m := keepingBench(t)
	lock := "1"
	w.folders.fill = func(dir string) error { return os.WriteFile(dir+"/lock", []byte(lock), 0o644) }
	n := 0
	run := func(change func(*dispatch.Assignment)) string {
		t.Helper()
		w.ear.reset()
		n++
		r := w.build(t, caching(), func(a *dispatch.Assignment) { a.Attempt.Number = n; change(a) })
		if r.Verdict != dispatch.Succeeded {
			t.Fatalf("%s %s", r.Verdict, r.Reason)
		}
		w.checkClean(t)
		return w.ear.text()
	}
	reading := func(a *dispatch.Assignment) { a.Caches = dispatch.TrustedCaches }
	for i, tt := range []struct {
		lock   string
		as     func(*dispatch.Assignment)
		want   string
		stored int
	}{
		{"1", func(*dispatch.Assignment) {}, "cache go-main: not for this build", 0},
		{"1", reading, "not kept: only builds of the default branch and of tags may", 0},
		{"1", trusted, "cache go-main: kept", 1},
		{"1", reading, "found made", 1},
		{"1", trusted, "cache go-main: restored, 1 file, 5 bytes", 1},
		{"2", reading, "cache go-main: none is kept yet", 1},
		{"2", trusted, "cache go-main: kept", 2},
		{"1", func(a *dispatch.Assignment) { a.Caches = dispatch.LocalCaches }, "cache go-main: none is kept yet", 2},
	} {
		lock = tt.lock
		if text := run(tt.as); !strings.Contains(text, tt.want) || len(m.kept) != tt.stored {
			t.Errorf("%d: %d kept, log:\n%s\nwant %d and %q", i, len(m.kept), text, tt.stored, tt.want)
		}
	}

	// what goes wrong with a cache costs time and no more
	lock = "1"
	for name := range m.kept {
		m.kept[name] = m.kept[name][:20]
	}
	if text := run(trusted); !strings.Contains(text, "cache go-main: not restored: the archive is damaged") || strings.Contains(text, "found") {
		t.Errorf("a damaged cache: log:\n%s", text)
	}
	m.fault = func(string) error { return errors.New("connection refused") }
	if text := run(trusted); !strings.Contains(text, "not restored: connection refused") {
		t.Errorf("a keeper that is away: log:\n%s", text)
	}
}

// A failure keeps no cache, and a step that fails keeps nobody from its reason.
func TestFailuresKeepNoCache(t *testing.T) {
	w, m := keepingBench(t)
	task := caching()
	task.Steps = append(task.Steps, script("exit 4").Steps...)
	if r := w.build(t, task, trusted); r.Reason != "exit 4" || len(m.kept) != 0 {
		t.Errorf("%q, %d caches kept", r.Reason, len(m.kept))
	}
}

// reset forgets the log, before another attempt.
func (e *ear) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.files = map[dispatch.File][]byte{}
}
