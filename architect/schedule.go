package architect

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/queue"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A member is a builder that has shown signs of life.
type member struct {
	boot     string
	capacity int // 0 while it drains
	said     dispatch.Presence
	since    time.Time // it is here
	seen     time.Time
	excused  time.Duration // of its silence since: the architect could not hear it
}

// offersOther reports whether p offers the queue other than what is known of the
// member.
func (m *member) offersOther(p dispatch.Presence) bool {
	return m.capacity != p.Capacity || m.said.Untrusted != p.Untrusted || !maps.Equal(m.said.Labels, p.Labels) ||
		!slices.Equal(m.said.Executors, p.Executors) || !slices.Equal(m.said.Mirrors, p.Mirrors)
}

// schedule assigns ready tasks to free builders. The assignments leave when they
// are durable, so that an attempt's number is never used twice. The lock is held.
func (a *Architect) schedule() {
	if a.stopping {
		return
	}
	for _, pick := range queue.Decide(a.picture()) {
		w := a.works[pick.Task.Build]
		m := a.builders[pick.Builder]
		key := pick.Task.Key
		move := build.Move{Kind: build.Assign, Task: key, Builder: pick.Builder, At: a.Now()}
		if err := w.do(move, func() { go a.send(w, key, pick.Builder) }); err != nil {
			a.Logger.Error("assign", "build", w.b.ID.String(), "task", key, "err", err)
			continue
		}
		t, _ := w.b.Task(key)
		w.flights[key] = &flight{builder: pick.Builder, boot: m.boot, attempt: t.Attempt, sent: move.At}
		a.touch(w)
	}
}

// StopAssigning makes no more assignments, for a process that is about to end.
// Everything else goes on: attempts under way are heard, and what becomes ready is
// recorded for the next one.
func (a *Architect) StopAssigning() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopping = true
}

// picture is the moment that queue.Decide judges. Tasks that wait to be tried
// again are not in it.
func (a *Architect) picture() queue.Picture {
	now := a.Now()
	a.resting = time.Time{}
	p := queue.Picture{Running: map[string]int{}, Shares: map[string]queue.Share{}}
	busy := map[string]int{}
	for _, s := range a.sites {
		p.Shares[s.Identity()] = s.Share
	}
	for _, w := range a.works {
		for _, f := range w.flights {
			busy[f.builder]++
			p.Running[w.site.Identity()]++
		}
		for i := range w.b.Stages {
			for j := range w.b.Stages[i].Tasks {
				switch t := &w.b.Stages[i].Tasks[j]; {
				case t.State != build.Ready:
				case t.Ready.After(now):
					a.rest(t.Ready)
				default:
					p.Ready = append(p.Ready, a.ready(w, t))
				}
			}
		}
	}
	for name, m := range a.builders {
		p.Builders = append(p.Builders, a.offer(name, m, busy[name]))
	}
	return p
}

// send offers an attempt, now durable, to its builder.
func (a *Architect) send(w *work, key, builder string) {
	a.mu.Lock()
	t, ok := w.b.Task(key)
	if !ok || t.State != build.Scheduled || t.Builder != builder || w.site.closed {
		a.mu.Unlock()
		return // canceled, interrupted or given back meanwhile
	}
	assignment, err := w.assignment(t)
	assignment.Credential, assignment.Traced = a.credential(assignment.Attempt), a.Traced
	a.mu.Unlock()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), acceptWithin)
		if err = a.endow(ctx, w, builder, &assignment); err == nil {
			err = a.Wire.Assign(ctx, builder, assignment)
		}
		cancel()
	}
	a.mu.Lock()
	defer a.commit()
	a.accepted(w, key, assignment.Attempt, err)
}

// accepted takes a builder's answer to an assignment. The lock is held.
func (a *Architect) accepted(w *work, key string, at dispatch.Attempt, answer error) {
	f := w.flights[key]
	if f == nil || f.attempt != at.Number {
		return
	}
	var refused *dispatch.RefusedError
	var unendowed *unendowedError
	var err error
	switch {
	case errors.As(answer, &unendowed): // nobody was asked
		err = w.do(build.Move{Kind: build.Fail, Task: key, Attempt: at.Number, Reason: unendowed.Error(), At: a.Now()}, nil)
		a.touch(w)
	case answer == nil:
		f.taken = true
		err = w.do(build.Move{Kind: build.Begin, Task: key, Attempt: at.Number, Builder: f.builder, At: a.Now()}, nil)
		a.touch(w)
		if f.reason != "" {
			a.stop(w, key, f, f.reason) // wished for while nobody knew whether it had begun
		}
	case errors.As(answer, &refused):
		a.shun(f.builder, refused.Reason)
		err = a.interrupt(w, key, at.Number, "refused: "+refused.Reason, nil)
	default:
		a.stop(w, key, f, "no answer in time") // it may have it after all
		a.shun(f.builder, "it did not answer an assignment")
		err = a.interrupt(w, key, at.Number, "no answer from builder "+f.builder, nil)
	}
	if err != nil {
		a.Logger.Error("answer to assignment", "build", w.b.ID.String(), "task", key, "err", err)
	}
}

// stop asks a builder, without waiting, to end an attempt. The sweep asks again.
// The lock is held.
func (a *Architect) stop(w *work, key string, f *flight, reason string) {
	if f.stopped.IsZero() {
		f.stopped = a.Now()
	}
	f.reason = reason
	at := dispatch.Attempt{Build: w.b.ID, Task: key, Number: f.attempt}
	a.recall(f.builder, at, reason)
}

// stopAll ends the attempts of a canceled build. Those of builders that are not
// there have nobody to end them. The lock is held.
func (a *Architect) stopAll(w *work) {
	for key, f := range w.flights {
		if a.builders[f.builder] != nil {
			a.stop(w, key, f, w.b.Canceled)
			continue
		}
		at := dispatch.Attempt{Build: w.b.ID, Task: key, Number: f.attempt}
		a.expire(w, at, build.Cancel, w.b.Canceled, a.Now())
	}
}

// recall sends a cancel in a goroutine of its own.
func (a *Architect) recall(builder string, at dispatch.Attempt, reason string) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), acceptWithin)
		defer cancel()
		if err := a.Wire.Cancel(ctx, builder, at, reason); err != nil {
			a.Logger.Warn("cancel not delivered", "builder", builder, "attempt", at.String(), "err", err)
		}
	}()
}

// facts are the build.* values.
func facts(b *build.Build) map[string]string {
	created := b.Created.UTC()
	values := map[string]string{
		"build.id":      b.ID.String(),
		"build.number":  itoa(b.ID.Number),
		"build.rfc3339": created.Format(time.RFC3339),
		"build.rfc822":  created.Format(time.RFC822),
	}
	for _, name := range []string{"build.rfc3339", "build.rfc822"} {
		values[name+".clean"] = plan.Clean(values[name])
	}
	return values
}
