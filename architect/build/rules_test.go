package build

import (
	"testing"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// opened is a build of one task that keeps to rules, with its first stage started.
func opened(t *testing.T, rules Rules) *Build {
	t.Helper()
	req := request(1)
	req.Stages[0].Tasks[0].Rules = rules
	b, _ := New(req, start)
	b.Open(start)
	return b
}

func fail(n int) []Move {
	return []Move{
		{Kind: Assign, Task: "s0t0", Builder: "b1"},
		{Kind: Begin, Task: "s0t0", Attempt: n},
		{Kind: Fail, Task: "s0t0", Attempt: n, Reason: "exit 2", Log: &Log{Bytes: int64(n)}},
	}
}

func TestFailuresAreRetried(t *testing.T) {
	b := opened(t, Rules{Retry: plan.Retry{Times: 2, Backoff: plan.Duration(10 * time.Second)}})
	task := &b.Stages[0].Tasks[0]
	must(t, b, fail(1)...)
	if task.State != Ready || task.Reason != "exit 2, retry 1/2" || !task.Ready.Equal(start.Add(10*time.Second)) {
		t.Errorf("after a failure: %s, %q, ready %s; want ready, exit 2, retry 1/2, in 10s", task.State, task.Reason, task.Ready)
	}
	must(t, b, Move{Kind: Assign, Task: "s0t0"}, Move{Kind: Interrupt, Task: "s0t0", Attempt: 2, Reason: "drained"})
	must(t, b, fail(3)...)
	if task.Reason != "exit 2, retry 2/2" || !task.Ready.Equal(start.Add(20*time.Second)) {
		t.Errorf("after an interruption and a failure: %q, ready %s; want exit 2, retry 2/2, in 20s", task.Reason, task.Ready)
	}
	must(t, b, fail(4)...)
	if task.State != Failed || task.Reason != "exit 2" || len(task.Retried) != 2 || len(task.Lost) != 1 || task.Retried[1].Log.Bytes != 3 {
		t.Errorf("after the last failure: %s, %q, retried %+v, lost %+v", task.State, task.Reason, task.Retried, task.Lost)
	}
}

func TestCancelEndsABackoff(t *testing.T) {
	b := opened(t, Rules{Retry: plan.Retry{Times: 2, Backoff: plan.Duration(time.Hour)}})
	must(t, b, fail(1)...)
	must(t, b, Move{Kind: Canceling})
	if task := b.Stages[0].Tasks[0]; task.State != Failed || task.Reason != "canceled" || !b.State().Final() {
		t.Errorf("the task is %s, %q, the build %s; want both failed, canceled", task.State, task.Reason, b.State())
	}
}

func TestCanceledBuildRetriesNothing(t *testing.T) {
	b := opened(t, Rules{Retry: plan.Retry{Times: 2}})
	must(t, b, fail(1)[:2]...)
	must(t, b, Move{Kind: Canceling}, fail(1)[2])
	if task := b.Stages[0].Tasks[0]; task.State != Failed || task.Reason != "exit 2" {
		t.Errorf("the task is %s, %q; want failed, exit 2", task.State, task.Reason)
	}
}

func TestBackoffIsBounded(t *testing.T) {
	task := Task{Rules: Rules{Retry: plan.Retry{Times: plan.MaxRetries, Backoff: plan.Duration(time.Minute)}}}
	for n, want := range map[int]time.Duration{0: time.Minute, 1: 2 * time.Minute, 5: 32 * time.Minute, 6: time.Hour, 1000: time.Hour} {
		if got := task.pause(n); got != want {
			t.Errorf("pause(%d) = %s; want %s", n, got, want)
		}
	}
}

func TestEffectsAreNotRepeated(t *testing.T) {
	step := func(i int) Move {
		return Move{Kind: StepMoved, Task: "s0t0", Attempt: 1, Index: i, Step: &Step{State: Building}}
	}
	interrupt := Move{Kind: Interrupt, Task: "s0t0", Attempt: 1, Reason: "lost builder"}
	for name, c := range map[string]struct {
		moves  []Move
		state  State
		reason string
	}{
		"in setup":       {[]Move{step(0), interrupt}, Ready, "lost builder"},
		"after setup":    {[]Move{step(0), step(1), interrupt}, Failed, ReasonUnknown},
		"setup unheard":  {[]Move{step(1), interrupt}, Failed, ReasonUnknown},
		"a failed setup": {[]Move{step(0), fail(1)[2]}, Failed, "exit 2"},
	} {
		b := opened(t, Rules{Effects: true, Retry: plan.Retry{Times: 3}})
		must(t, b, Move{Kind: Assign, Task: "s0t0"})
		must(t, b, c.moves...)
		if task := b.Stages[0].Tasks[0]; task.State != c.state || task.Reason != c.reason {
			t.Errorf("%s: %s, %q; want %s, %q", name, task.State, task.Reason, c.state, c.reason)
		}
	}
}

func TestSkippedAndReused(t *testing.T) {
	req := request(3, 1, 1)
	origin := Origin{Build: ID{"k3f9a2", 3}, Task: "s0t1"}
	req.Stages[0].Tasks[0].Skip = true
	req.Stages[0].Tasks[1].Reused, req.Stages[0].Tasks[1].Tests = origin, Tests{Passed: 4}
	req.Stages[1].Tasks[0].Skip, req.Stages[1].Tasks[0].Reused = true, origin
	b, _ := New(req, start)
	b.Open(start)
	if got := b.Stages[1].State(); got != Waiting {
		t.Errorf("the second stage is %s before its turn", got)
	}
	must(t, b, Move{Kind: Assign, Task: "s0t2"}, Move{Kind: Succeed, Task: "s0t2", Tests: Tests{Passed: 1}})
	if got := b.Counts().String(); got != "2/5, 2 skipped" || b.Stages[1].State() != Succeeded || b.State() != Building {
		t.Errorf("counts %s, second stage %s, build %s; want 2/5, 2 skipped, succeeded and building", got, b.Stages[1].State(), b.State())
	}
	for key, want := range map[string]string{"s0t0": "skipped", "s0t1": "reused", "s1t0": "skipped"} {
		if task, _ := b.Task(key); task.Reason != want || task.Attempt != 0 || task.Finished.IsZero() {
			t.Errorf("task %s: %q at attempt %d, finished %s; want %s without attempts", key, task.Reason, task.Attempt, task.Finished, want)
		}
	}
	if task, _ := b.Task("s0t1"); task.Reused != origin || task.Tests.Passed != 4 {
		t.Errorf("the reused task says %+v, %+v", task.Reused, task.Tests)
	}
}

func TestAllSkipped(t *testing.T) {
	req := request(1, 1)
	for i := range req.Stages {
		req.Stages[i].Tasks[0].Skip = true
	}
	b, moves := New(req, start)
	moves = append(moves, b.Open(start)...)
	if b.State() != Succeeded || b.Reason() != "skipped" || b.Counts().String() != "0/2, 2 skipped" {
		t.Errorf("build %s, %q, %s; want succeeded, skipped", b.State(), b.Reason(), b.Counts())
	}
	if again, err := Replay(moves); err != nil || again.State() != Succeeded || again.Started.IsZero() || again.Finished.IsZero() {
		t.Errorf("Replay = %+v, %v", again, err)
	}
}

// What the rules forbid is forged in a stored log.
func TestReplayRefusesWhatTheRulesForbid(t *testing.T) {
	b, moves := New(request(1), start)
	moves = append(moves, b.Open(start)...)
	made, err := b.Do(Move{Kind: Assign, Task: "s0t0"})
	if err != nil {
		t.Fatal(err)
	}
	moves = append(moves, made...)
	for name, log := range map[string][]Move{
		"skipped":         append(moves[:1:1], Move{Seq: 2, Kind: Skip, Task: "s0t0", From: Waiting, To: Succeeded}),
		"reused":          append(moves[:1:1], Move{Seq: 2, Kind: Reuse, Task: "s0t0", From: Waiting, To: Succeeded}),
		"retried":         append(moves[:3:3], Move{Seq: 4, Kind: Retry, Task: "s0t0", Attempt: 1, From: Scheduled, To: Ready}),
		"skipped running": append(moves[:3:3], Move{Seq: 4, Kind: Skip, Task: "s0t0", Attempt: 1, From: Scheduled, To: Succeeded}),
	} {
		if b, err := Replay(log); err == nil {
			t.Errorf("%s: Replay = %s; want an error", name, b.State())
		}
	}
}
