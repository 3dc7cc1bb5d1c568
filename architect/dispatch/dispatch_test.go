package dispatch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// up and down are the two halves that both wires have.
type up interface {
	Here(ctx context.Context, p dispatch.Presence) error
	Step(ctx context.Context, p dispatch.Progress) error
	Log(ctx context.Context, c dispatch.Chunk) (int64, error)
	End(ctx context.Context, r dispatch.Result) error
}

type down interface {
	Assign(ctx context.Context, builder string, a dispatch.Assignment) error
	Cancel(ctx context.Context, builder string, a dispatch.Attempt, reason string) error
	Publish(e build.Event) error
}

// recorder is an Ear and a Worker that remembers what it heard and answers with
// err.
type recorder struct {
	mu    sync.Mutex
	heard []any
	err   error
}

func (r *recorder) hear(m any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, m)
	return r.err
}

func (r *recorder) Here(_ context.Context, p dispatch.Presence) error { return r.hear(p) }
func (r *recorder) Step(_ context.Context, builder string, p dispatch.Progress) error {
	return r.hear([]any{builder, p})
}
func (r *recorder) Log(_ context.Context, builder string, c dispatch.Chunk) (int64, error) {
	c.Data = append([]byte(nil), c.Data...)
	return 42, r.hear([]any{builder, c})
}
func (r *recorder) End(_ context.Context, builder string, res dispatch.Result) error {
	return r.hear([]any{builder, res})
}
func (r *recorder) Take(a dispatch.Assignment) error { return r.hear(a) }
func (r *recorder) Stop(a dispatch.Attempt, reason string) error {
	return r.hear([]any{a, reason})
}

func direct(_ *testing.T, ear dispatch.Ear, worker dispatch.Worker) (up, down) {
	d := &dispatch.Direct{Name: "b-1", Worker: worker, Ear: ear}
	return d, d
}

var attempt = dispatch.Attempt{Build: build.ID{Store: "abc123", Number: 9}, Task: "s1t2", Number: 3}

// Both wires carry every message unchanged, and the three kinds of answers.
func TestWires(t *testing.T) {
	at := time.Date(2026, 11, 22, 16, 8, 9, 5e6, time.UTC)
	value := "v"
	assignment := dispatch.Assignment{
		Attempt: attempt, Repository: "r", Source: "/srv/r.git", Commit: "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		Ref: "refs/heads/main", Git: map[string]string{"git.branch": "main"}, Values: map[string]string{"token": "é\n\x00"}, Credential: "open",
		Untrusted:  true,
		Submodules: dispatch.Submodules{Origin: "https://example.com/r", Hosts: []string{"example.org"}},
		Task: plan.Task{Key: "s1t2", Name: "x", Parameters: []plan.Parameter{{Name: "p", Value: &value}},
			Steps: []plan.Step{{Type: plan.StepRun, Run: &plan.Run{Command: []plan.Text{"a b", "${c}"}}}}},
	}
	presence := dispatch.Presence{Builder: "b-1", Boot: "x", Capacity: 2, Running: []dispatch.Attempt{attempt},
		Labels: map[string]string{"os": "linux"}, Executors: []string{"docker"}, Untrusted: true, Mirrors: []string{"r"},
		Version: "1", FreeDisk: 1 << 40}
	steps := []build.Step{{Type: plan.StepSetup, Name: "setup", State: build.Succeeded, Started: at, Finished: at, To: 7}}
	progress := dispatch.Progress{Attempt: attempt, Steps: steps}
	chunk := dispatch.Chunk{Attempt: attempt, File: dispatch.TextFile, Offset: 1 << 40, Data: []byte("a\x00\xff\r\n")}
	result := dispatch.Result{Attempt: attempt, Verdict: dispatch.Failed, Reason: "exit 2", Steps: steps,
		Log: build.Log{Bytes: 7, Lines: 1, SHA256: "00"}, Times: 4}

	wires := map[string]func(*testing.T, dispatch.Ear, dispatch.Worker) (up, down){"direct": direct, "cluster": overCluster(t)}
	for _, way := range ways {
		wires[way] = over(way)
	}
	for name, wire := range wires {
		for _, answer := range []error{nil, dispatch.ErrStale, &dispatch.RefusedError{Reason: "full"}, errors.New("disk full")} {
			t.Run(name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				ear, worker := &recorder{err: answer}, &recorder{err: answer}
				up, down := wire(t, ear, worker)
				check := func(what string, err error) {
					t.Helper()
					if !sameAnswer(err, answer) {
						t.Errorf("%s = %v; want %v", what, err, answer)
					}
				}
				check("Assign", down.Assign(ctx, "b-1", assignment))
				check("Cancel", down.Cancel(ctx, "b-1", attempt, "canceled"))
				check("Here", up.Here(ctx, presence))
				check("Step", up.Step(ctx, progress))
				have, err := up.Log(ctx, chunk)
				check("Log", err)
				if have != 42 {
					t.Errorf("Log = %d; want 42", have)
				}
				check("End", up.End(ctx, result))
				if err := down.Publish(build.Event{Type: build.BuildStart, Build: attempt.Build, Seq: 2}); err != nil {
					t.Errorf("Publish = %v", err)
				}
				if diff := cmp.Diff([]any{assignment, []any{attempt, "canceled"}}, worker.heard); diff != "" {
					t.Errorf("worker heard (-want +got):\n%s", diff)
				}
				want := []any{presence, []any{"b-1", progress}, []any{"b-1", chunk}, []any{"b-1", result}}
				if diff := cmp.Diff(want, ear.heard); diff != "" {
					t.Errorf("ear heard (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func sameAnswer(got, want error) bool {
	if got == nil || want == nil {
		return got == want
	}
	var refused *dispatch.RefusedError
	if errors.As(want, &refused) {
		var r *dispatch.RefusedError
		return errors.As(got, &r) && *r == *refused
	}
	return errors.Is(want, dispatch.ErrStale) == errors.Is(got, dispatch.ErrStale) && got.Error() == want.Error()
}

// A builder cannot speak under another's name: it is taken from the subject.
func TestPresenceNameComesFromTheConnection(t *testing.T) {
	ear := &recorder{}
	up, _ := over("wss")(t, ear, &recorder{})
	if err := up.Here(t.Context(), dispatch.Presence{Builder: "somebody-else"}); err != nil {
		t.Fatal(err)
	}
	if got := ear.heard[0].(dispatch.Presence).Builder; got != "b-1" {
		t.Errorf("presence is from %q; want b-1", got)
	}
}

func TestAssignToNobody(t *testing.T) {
	r := newRig(t, "absent")
	hub := r.listen(t, &recorder{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := hub.Assign(ctx, "absent", dispatch.Assignment{Attempt: attempt}); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("Assign to an absent builder = %v; want no responders, at once", err)
	}
	if err := hub.Assign(ctx, "unknown", dispatch.Assignment{Attempt: attempt}); err == nil || errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("Assign to a builder that is not registered = %v; want an error that says so", err)
	}
}

func TestJoinRefusesNamesThatAreNoSubjects(t *testing.T) {
	for _, name := range []string{"", "a.b", "*", ">", "A", "a b", string(make([]byte, 64))} {
		if _, err := dispatch.Join(nil, name, nil, dispatch.Trust{}); err == nil {
			t.Errorf("Join(%q) = nil error", name)
		}
	}
}
