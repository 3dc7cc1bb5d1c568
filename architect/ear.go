package architect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

var _ dispatch.Ear = (*Architect)(nil)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Here takes a builder's sign of life. Attempts that it was given in an earlier
// life of its process and does not mention are interrupted.
func (a *Architect) Here(_ context.Context, p dispatch.Presence) error {
	a.mu.Lock()
	defer a.commit()
	if a.standings[p.Builder].Revoked { // said before it was cut off, and heard after
		return fmt.Errorf("builder %s is revoked", p.Builder)
	}
	m := a.builders[p.Builder]
	if m == nil {
		m = &member{since: a.Now()}
		a.builders[p.Builder] = m
		a.Logger.Info("builder is here", "builder", p.Builder, "capacity", p.Capacity)
	}
	if p.Draining {
		p.Capacity = 0
	}
	a.unsettled = a.unsettled || m.offersOther(p)
	m.boot, m.seen, m.excused, m.capacity, m.said = p.Boot, a.Now(), 0, p.Capacity, p
	a.claim(p)
	return nil
}

// claim compares what a builder says it runs with what it was given.
func (a *Architect) claim(p dispatch.Presence) {
	for id, w := range a.works {
		for key, f := range w.flights {
			if f.builder == p.Builder {
				at := dispatch.Attempt{Build: id, Task: key, Number: f.attempt}
				a.check(w, at, f, p.Boot, slices.Contains(p.Running, at))
			}
		}
	}
	for _, at := range p.Running {
		if _, _, err := a.current(p.Builder, at); errors.Is(err, dispatch.ErrStale) {
			a.recall(p.Builder, at, "no longer wanted")
		}
	}
}

// missedBeats is how often a builder may be silent about an attempt it took: its
// list and our question may cross.
const missedBeats = 2

func (a *Architect) check(w *work, at dispatch.Attempt, f *flight, boot string, mentioned bool) {
	switch {
	case mentioned:
		f.boot, f.taken, f.missed = boot, true, 0
		return
	case f.boot != boot:
		a.lose(w, at, "builder restarted")
	case f.taken:
		if f.missed++; f.missed > missedBeats {
			a.lose(w, at, "builder lost the attempt")
		}
	}
}

// lose interrupts an attempt that nobody works on any more. The lock is held.
func (a *Architect) lose(w *work, at dispatch.Attempt, reason string) {
	if err := a.interrupt(w, at.Task, at.Number, reason, nil); err != nil {
		a.Logger.Error("interrupt", "attempt", at.String(), "err", err)
	}
}

// Step takes a builder's word on how far an attempt is. It need not be durable:
// the next one, or the result, says it again. Of a task with effects it is durable
// when Step returns nil: only then does a builder begin its first step.
func (a *Architect) Step(ctx context.Context, builder string, p dispatch.Progress) error {
	durable := make(chan struct{})
	a.mu.Lock()
	effects, err := a.progress(builder, p, func() { close(durable) })
	a.commit()
	if err != nil || !effects {
		return err
	}
	select {
	case <-durable:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// progress records how far an attempt is, and reports whether its task has
// effects; if so, then is called once that is durable. The lock is held.
func (a *Architect) progress(builder string, p dispatch.Progress, then func()) (effects bool, err error) {
	w, t, err := a.current(builder, p.Attempt)
	if err != nil {
		return false, err
	}
	a.touch(w)
	if t.State == build.Scheduled { // the progress overtook the answer
		if err := w.do(build.Move{Kind: build.Begin, Task: t.Key, Attempt: t.Attempt, Builder: builder, At: a.Now()}, nil); err != nil {
			return false, err
		}
	}
	err = a.steps(w, t, p.Steps)
	if effects = err == nil && t.Effects; effects {
		w.record(nil, then)
	}
	return effects, err
}

// steps records the steps that differ from what is known. The lock is held.
func (a *Architect) steps(w *work, t *build.Task, steps []build.Step) error {
	if len(steps) != len(t.Steps) {
		return fmt.Errorf("task %s of build %s has %d steps, not %d", t.Key, w.b.ID, len(t.Steps), len(steps))
	}
	for i := range steps {
		s := steps[i]
		s.Type, s.Name = t.Steps[i].Type, t.Steps[i].Name // those are the plan's, not the builder's
		m := build.Move{Kind: build.StepMoved, Task: t.Key, Attempt: t.Attempt, Index: i, Step: &s, At: a.Now()}
		if err := w.do(m, nil); err != nil {
			return err
		}
	}
	return nil
}

// Log takes a piece of a log.
func (a *Architect) Log(_ context.Context, builder string, c dispatch.Chunk) (int64, error) {
	a.mu.Lock()
	w, _, err := a.current(builder, c.Attempt)
	a.mu.Unlock()
	if err != nil {
		return 0, err
	}
	have, err := w.site.Logs.Write(c)
	if err != nil {
		return have, fmt.Errorf("keep log of %s: %w", c.Attempt, err)
	}
	a.mu.Lock()
	a.stir(w)
	a.mu.Unlock()
	return have, nil
}

// End takes a builder's verdict. It returns nil once the verdict is durable, and
// for a verdict that it already has.
func (a *Architect) End(ctx context.Context, builder string, r dispatch.Result) error {
	a.mu.Lock()
	w, _, err := a.current(builder, r.Attempt)
	a.mu.Unlock()
	if err != nil {
		return err
	}
	var file build.LogFile
	if r.Verdict != dispatch.Interrupted { // the log of an interrupted attempt is not kept
		if file, err = w.site.Logs.Finish(r); err != nil {
			return fmt.Errorf("log of %s: %w", r.Attempt, err)
		}
	}
	durable := make(chan struct{})
	a.mu.Lock()
	err = a.end(builder, r, file, func() { close(durable) })
	a.commit()
	if err != nil {
		return err
	}
	select {
	case <-durable:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end moves the task by a verdict. The lock is held.
func (a *Architect) end(builder string, r dispatch.Result, file build.LogFile, then func()) error {
	w, t, err := a.current(builder, r.Attempt)
	if err != nil {
		return err
	}
	a.touch(w)
	if r.Verdict == dispatch.Interrupted {
		if m := a.builders[builder]; m != nil {
			m.capacity = 0 // it is ending, perhaps; its next sign of life says otherwise
		}
		if len(r.Steps) > 0 { // how far it came counts for a task with effects
			if err := a.steps(w, t, r.Steps); err != nil {
				return err
			}
		}
		return a.interrupt(w, t.Key, t.Attempt, r.Reason, then)
	}
	if err := a.steps(w, t, r.Steps); err != nil {
		return err
	}
	m := build.Move{
		Kind: build.Succeed, Task: t.Key, Attempt: t.Attempt, Builder: builder,
		Reason: r.Reason, Log: &r.Log, At: a.Now(),
		Tests: r.Tests, Findings: r.Findings, Artifacts: r.Artifacts,
	}
	if r.Verdict != dispatch.Succeeded {
		m.Kind = build.Fail
	}
	w.pending.Logs = append(w.pending.Logs, file)
	return w.do(m, then)
}
