package architect_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
)

// written is a log that several goroutines write.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// lines are those of a message, as far as they were written.
func (w *written) lines(t *testing.T, message string) (all []map[string]any) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range bytes.Lines(w.text.Bytes()) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if one["msg"] == message {
			all = append(all, one)
		}
	}
	return all
}

// Whoever looks on is told every durable move once and in order, with the events it
// emitted; the log has a line for each change of a task's state, which says whose.
func TestObserverHearsAllThatIsDurable(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	log := &written{}
	g.a.Logger = slog.New(slog.NewJSONHandler(log, nil))
	var mu sync.Mutex
	var moves []build.Move
	var events []build.EventType
	g.a.Observe = func(f architect.Fact) {
		mu.Lock()
		defer mu.Unlock()
		moves = append(moves, f.Moves...)
		for _, e := range f.Events {
			events = append(events, e.Type)
		}
		if f.Site != g.site || f.Build.Seq != moves[len(moves)-1].Seq {
			t.Errorf("a fact of %s at %d after move %d", f.Site.Name, f.Build.Seq, moves[len(moves)-1].Seq)
		}
	}
	g.run()
	g.here()
	g.site.Look()
	b := g.final()
	mu.Lock()
	defer mu.Unlock()
	changed := 0
	for i, m := range moves {
		if m.Seq != i+1 {
			t.Errorf("move %d has number %d", i+1, m.Seq)
		}
		if m.From != m.To {
			changed++
		}
	}
	if len(moves) != b.Seq {
		t.Errorf("%d moves were told of %d", len(moves), b.Seq)
	}
	if !slices.Equal(events[len(events)-2:], []build.EventType{build.BuildComplete, build.BuildSuccess}) || events[0] != build.BuildStart {
		t.Errorf("events %v", events)
	}
	lines := log.lines(t, "move")
	if len(lines) != changed {
		t.Errorf("%d lines for %d changes", len(lines), changed)
	}
	for _, line := range lines {
		var keys []string
		for key := range line {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if diff := cmp.Diff([]string{"attempt", "build", "builder", "from", "level", "msg", "reason", "repo", "task", "time", "to"}, keys); diff != "" {
			t.Fatalf("keys of a line (-want +got):\n%s", diff)
		}
		if line["build"] != b.ID.String() || line["task"] == "" || line["repo"] != g.site.Name {
			t.Errorf("a line %v", line)
		}
	}
	if got := g.a.Load(); got.Builds != 0 || got.Ready != 0 || got.Running != 0 || got.Busy != 0 || got.Builders != 1 || got.Capacity < 1 {
		t.Errorf("load after all: %+v", got)
	}
}
