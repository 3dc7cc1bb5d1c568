package builder

import (
	"context"

	"github.com/velocity-ci/velocity/architect/build"
)

// avow returns once the architect knows, for good, that the steps of a task with
// effects begin. Before that none of them may run: if this builder were lost, the
// task would be taken for one that did nothing yet, and be done twice. s is the
// step that is to begin; if nobody takes it before ctx ends, it did not.
func (t *attempt) avow(ctx context.Context, s *build.Step) error {
	if !t.given.Task.Effects || t.avowed {
		return nil
	}
	if err := t.report.taken(ctx); err != nil {
		*s = build.Step{Type: s.Type, Name: s.Name, State: build.Waiting}
		t.report.publish(t.steps)
		return err
	}
	t.avowed = true
	return nil
}

// taken returns once the architect has taken what was published by now, or a
// newer state, or with why ctx ended.
func (r *reporter) taken(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for want := r.published; r.heard < want; {
		news := r.news
		r.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
		}
		r.mu.Lock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// took notes that the architect has taken the n-th state that was published.
func (r *reporter) took(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = n
	close(r.news)
	r.news = make(chan struct{})
}
