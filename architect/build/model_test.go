package build

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// approved is what the requests of the tests are of.
var approved = Approval{Commit: "c0ffee", Digest: "digest"}

// A model is what the lifecycle page says, told a second time: it knows only the
// square and the rules for stages, and nothing of moves.
type model struct {
	stages   [][]*modelTask
	opened   bool
	held     bool // not approved yet
	approved bool
	refused  bool
	canceled bool
}

type modelTask struct {
	key     string
	state   State
	attempt int
	rules   Rules
	reused  bool
	begun   bool // a step of the user's, in the current attempt
	retried int
}

func (m *model) stage(i int) State {
	ready, final, bad := 0, 0, false
	for _, t := range m.stages[i] {
		if t.state != Waiting {
			ready++
		}
		if t.state == Succeeded || t.state == Failed {
			final++
		}
		bad = bad || t.state == Failed && !t.rules.MayFail
	}
	switch {
	case ready == 0:
		return Waiting
	case final < len(m.stages[i]):
		return Building
	case bad:
		return Failed
	}
	return Succeeded
}

func (m *model) state() State {
	if m.refused {
		return Failed
	}
	running, done := false, 0
	for i := range m.stages {
		switch m.stage(i) {
		case Failed:
			return Failed
		case Building:
			running = true
		case Succeeded:
			done++
		}
	}
	switch {
	case done == len(m.stages):
		return Succeeded
	case m.canceled && !running:
		return Failed
	}
	return Building
}

// ask predicts what a request does: whether it is recorded, and whether it is
// an error.
func (m *model) ask(ask Move) (recorded, impossible bool) {
	over := m.state() == Succeeded || m.state() == Failed
	switch ask.Kind {
	case Notice:
		return true, false
	case Canceling:
		if over || m.canceled {
			return false, false
		}
		m.canceled = true
	case Refuse:
		if over {
			return false, false
		}
		if m.opened {
			return false, true
		}
		m.refused = true
	case Approve:
		if over {
			return false, false
		}
		if !m.held && !m.approved || ask.Approval.Commit != approved.Commit {
			return false, true
		}
		if m.approved {
			return false, false
		}
		m.held, m.approved = false, true
	default:
		if over {
			return false, false
		}
		if recorded, impossible = m.task(ask); !recorded {
			return recorded, impossible
		}
	}
	m.settle()
	return true, false
}

func (m *model) task(ask Move) (recorded, impossible bool) {
	stage, t := m.find(ask.Task)
	if t == nil {
		return false, true
	}
	current := ask.Attempt == 0 || ask.Attempt == t.attempt && t.state != Ready
	if t.state == Succeeded || t.state == Failed || !current {
		return false, false
	}
	if ask.Kind == StepMoved {
		t.begun = t.begun || ask.Index > 0 && (t.state == Scheduled || t.state == Building)
		return t.state == Scheduled || t.state == Building, t.state == Waiting || t.state == Ready
	}
	kind, allowed := m.turned(t, ask.Kind)
	to := square[t.state][kind]
	inTurn := t.state != Waiting || !m.held && (stage == 0 || m.stage(stage-1) == Succeeded)
	if to == "" || !inTurn || !allowed {
		return false, true
	}
	if to == t.state {
		return false, false
	}
	switch kind {
	case Assign:
		t.attempt++
	case Retry:
		t.retried++
		t.begun = false
	case Interrupt:
		t.begun = false
	}
	m.opened = true
	t.state = to
	return true, false
}

// turned is what a task's rules make of a request, and whether they allow it.
func (m *model) turned(t *modelTask, kind Kind) (Kind, bool) {
	again := !m.canceled && !t.rules.Effects && t.retried < t.rules.Retry.Times
	switch kind {
	case Fail:
		if again && (t.state == Scheduled || t.state == Building) {
			return Retry, true
		}
	case Interrupt:
		if t.rules.Effects && t.begun {
			return Fail, true
		}
	case Retry:
		return kind, again
	case Skip:
		return kind, t.rules.Skip
	case Reuse:
		return kind, t.reused
	}
	return kind, true
}

func (m *model) find(key string) (int, *modelTask) {
	for i, s := range m.stages {
		for _, t := range s {
			if t.key == key {
				return i, t
			}
		}
	}
	return 0, nil
}

// settle does what follows by itself, once the build is open.
func (m *model) settle() {
	if !m.opened || m.refused {
		return
	}
	for i, s := range m.stages {
		for _, t := range s {
			switch {
			case m.canceled && t.state == Ready:
				t.state = Failed
			case !m.canceled && t.state == Waiting && (t.rules.Skip || t.reused):
				t.state = Succeeded
			case !m.canceled && t.state == Waiting:
				t.state = Ready
			}
		}
		if m.stage(i) != Succeeded {
			return
		}
	}
}

func drawRequest(t *rapid.T) (Request, *model) {
	req := request(rapid.SliceOfN(rapid.IntRange(1, 3), 1, 3).Draw(t, "stages")...)
	req.Held = rapid.IntRange(0, 3).Draw(t, "needs approval") == 0
	m := &model{held: req.Held}
	for i := range req.Stages {
		var stage []*modelTask
		for j := range req.Stages[i].Tasks {
			p := &req.Stages[i].Tasks[j]
			p.Rules = drawRules(t)
			if rapid.IntRange(0, 7).Draw(t, "reused") == 0 {
				p.Reused = Origin{Build: ID{"k3f9a2", 1}, Task: "s0t0"}
				p.Tests, p.Artifacts = Tests{Passed: 1}, []Artifact{{Name: "x"}}
			}
			stage = append(stage, &modelTask{key: p.Key, state: Waiting, rules: p.Rules, reused: !p.Reused.Zero()})
		}
		m.stages = append(m.stages, stage)
	}
	return req, m
}

func drawRules(t *rapid.T) Rules {
	return Rules{
		MayFail: rapid.Bool().Draw(t, "mayFail"), Skip: rapid.IntRange(0, 7).Draw(t, "skip") == 0,
		Effects: rapid.IntRange(0, 3).Draw(t, "effects") == 0,
		Retry: plan.Retry{
			Times: rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "times"), Backoff: plan.Duration(rapid.Int64Range(0, 1e10).Draw(t, "backoff")),
		},
	}
}

// drawAsk prefers requests that move the build on, so that long lives are seen.
func drawAsk(t *rapid.T, m *model, at time.Time) Move {
	ask := Move{At: at, Builder: "b1", Reason: "because"}
	keys := []string{"s9t9"}
	for _, s := range m.stages {
		for _, task := range s {
			keys = append(keys, task.key)
		}
	}
	likely := []Kind{Assign, Assign, Begin, Begin, Succeed, Succeed, Fail, StepMoved}
	all := slices.Concat(likely, likely, Kinds, []Kind{Refuse, Canceling, Notice, Approve})
	ask.Kind = rapid.SampledFrom(all).Draw(t, "kind")
	if ask.Kind == Approve || m.held && rapid.Bool().Draw(t, "approve") {
		ask.Kind, ask.Approval = Approve, &Approval{Commit: approved.Commit, Digest: approved.Digest, By: "ann"}
		if rapid.IntRange(0, 3).Draw(t, "other commit") == 0 {
			ask.Approval.Commit = "other"
		}
		return ask
	}
	if ask.Kind == Refuse || ask.Kind == Canceling || ask.Kind == Notice {
		return ask
	}
	ask.Task = rapid.SampledFrom(keys).Draw(t, "task")
	if _, task := m.find(ask.Task); task != nil && ask.Kind != Assign {
		ask.Attempt = max(0, task.attempt+rapid.SampledFrom([]int{0, 0, 0, -1, 1, -99}).Draw(t, "attempt"))
	}
	if ask.Kind == StepMoved {
		// The exit code makes every one differ; its state keeps the step open.
		ask.Index = rapid.IntRange(0, 1).Draw(t, "index")
		ask.Step = &Step{State: Building, Exit: int(at.Unix())}
	}
	return ask
}

// A life is a build under test with everything that was recorded about it.
type life struct {
	build  *Build
	shadow *Build // gets the same moves by Apply alone, as a restarted architect would
	moves  []Move
	events []Event
	ended  map[string]Task // tasks as they were when they ended
}

func (l *life) record(t *rapid.T, moves []Move) {
	for _, m := range moves {
		l.moves = append(l.moves, m)
		if m.Seq != len(l.moves) {
			t.Fatalf("move %d has the number %d", len(l.moves), m.Seq)
		}
		if m.From != m.To && square[m.From][m.Kind] != m.To {
			t.Fatalf("move %d: %s from %s to %s", m.Seq, m.Kind, m.From, m.To)
		}
		events, err := l.shadow.Apply(m)
		if err != nil {
			t.Fatalf("Apply(%+v): %v", m, err)
		}
		l.events = append(l.events, events...)
	}
}

func (l *life) check(t *rapid.T, m *model) {
	for i, s := range m.stages {
		for j, want := range s {
			got := l.build.Stages[i].Tasks[j]
			if got.State != want.state || got.Attempt != want.attempt {
				t.Fatalf("task %s is %s at attempt %d; want %s at %d", want.key, got.State, got.Attempt, want.state, want.attempt)
			}
			if got.State.Final() {
				if _, known := l.ended[got.Key]; !known {
					l.ended[got.Key] = l.build.Clone().Stages[i].Tasks[j]
				}
				if then := l.ended[got.Key]; !reflect.DeepEqual(then, got) {
					t.Fatalf("task %s changed after its end (-then +now):\n%s", got.Key, cmp.Diff(then, got))
				}
			}
		}
		if got := l.build.Stages[i].State(); got != m.stage(i) {
			t.Fatalf("stage %d is %s; want %s", i, got, m.stage(i))
		}
	}
	if got := l.build.State(); got != m.state() {
		t.Fatalf("build is %s; want %s", got, m.state())
	}
	if l.build.Finished.IsZero() == l.build.State().Final() || l.build.Started.IsZero() == m.opened {
		t.Fatalf("build %s: started %s, finished %s", l.build.State(), l.build.Started, l.build.Finished)
	}
}

func TestBuildKeepsToTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req, m := drawRequest(t)
		at := start
		b, moves := New(req, at)
		l := &life{build: b, shadow: &Build{}, ended: map[string]Task{}}
		l.record(t, moves)
		if rapid.IntRange(0, 9).Draw(t, "held") > 0 {
			l.record(t, b.Open(at))
			m.opened = !m.held
			m.settle()
		}
		for range rapid.IntRange(0, 60).Draw(t, "asks") {
			at = at.Add(time.Second)
			ask := drawAsk(t, m, at)
			cloned := rapid.IntRange(0, 7).Draw(t, "clone") == 0
			before, n := b.Clone(), len(l.moves)
			moves, err := b.Do(ask)
			recorded, impossible := m.ask(ask)
			if (err != nil) != impossible || len(moves) > 0 != recorded {
				t.Fatalf("Do(%+v) = %d moves, %v; want moves %t, error %t", ask, len(moves), err, recorded, impossible)
			}
			var moveErr *MoveError
			if errors.As(err, &moveErr) && moveErr.Error() == "" {
				t.Fatalf("a *MoveError says nothing")
			}
			l.record(t, moves)
			l.check(t, m)
			if !cloned {
				continue
			}
			if got, err := Replay(l.moves[:n]); err != nil || !cmp.Equal(before, got) {
				t.Fatalf("a clone changed with its original: %v\n%s", err, cmp.Diff(before, got))
			}
		}
		if diff := cmp.Diff(b, l.shadow); diff != "" {
			t.Fatalf("the moves do not give the build (-live +replayed):\n%s", diff)
		}
		checkEvents(t, b, l.events)
	})
}

// attempted reports whether a task was given to a builder at all.
func attempted(b *Build, key string) bool {
	t, _ := b.Task(key)
	return t.Attempt > 0
}

// checkEvents holds the promises of docs/lifecycle.md about events.
func checkEvents(t *rapid.T, b *Build, events []Event) {
	seen := map[Event]int{} // without their numbers
	for i, e := range events {
		if i > 0 && e.Seq < events[i-1].Seq {
			t.Fatalf("event %v after %v", e, events[i-1])
		}
		key := Event{Type: e.Type, Task: e.Task}
		complete := map[EventType]EventType{
			TaskSuccess: TaskComplete, TaskFail: TaskComplete, BuildSuccess: BuildComplete, BuildFail: BuildComplete,
		}[e.Type]
		switch {
		case e.Build != b.ID || (e.Task == "") != (e.Type[0] == 'B'):
			t.Fatalf("event of nothing: %+v", e)
		case complete != "" && (i == 0 || events[i-1].Type != complete || events[i-1].Task != e.Task):
			t.Fatalf("%v does not follow its %s", e, complete)
		case e.Task != "" && seen[Event{Type: BuildStart}] != 1:
			t.Fatalf("%v before the build started", e)
		case e.Type != TaskStart && seen[key] > 0:
			t.Fatalf("%v for a second time", e)
		case e.Type == TaskSuccess && (seen[Event{Type: TaskStart, Task: e.Task}] > 0) != attempted(b, e.Task):
			t.Fatalf("%v without a start, or of nothing that started", e)
		case seen[Event{Type: BuildComplete}] > 0 && complete == "":
			t.Fatalf("%v after the end", e)
		}
		seen[key]++
	}
	want := map[State]EventType{Succeeded: BuildSuccess, Failed: BuildFail}[b.State()]
	if want != "" && seen[Event{Type: want}] != 1 || want == "" && seen[Event{Type: BuildComplete}] != 0 {
		t.Fatalf("a build that is %s ended its events with %v", b.State(), events)
	}
	for _, s := range b.Stages {
		for _, task := range s.Tasks {
			if task.State.Final() != (seen[Event{Type: TaskComplete, Task: task.Key}] == 1) {
				t.Fatalf("task %s is %s, but TASK_COMPLETE says otherwise", task.Key, task.State)
			}
			if n := len(task.Lost) + len(task.Retried); n > task.Attempt || len(task.Retried) > task.Retry.Times || task.Effects && len(task.Retried) > 0 {
				t.Fatalf("task %s has %d earlier attempts at attempt %d and %d retries of %+v", task.Key, n, task.Attempt, len(task.Retried), task.Retry)
			}
			if task.State == Waiting && b.State().Final() && b.TaskReason(&task) != "never ran" {
				t.Fatalf("task %s never ran and says %q", task.Key, b.TaskReason(&task))
			}
		}
	}
}
