package architect

import (
	"context"
	"slices"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Take answers a trigger that the caller keeps: it returns nil once what became of it
// is recorded, so that the trigger needs no place in the inbox. After any error, and
// after a death, the caller gives the same trigger again, which makes nothing twice.
// Errors: ErrClosed.
func (a *Architect) Take(ctx context.Context, s *Site, t plan.Trigger) error {
	s.offer(t)
	for {
		a.mu.Lock()
		changed := a.changed
		a.mu.Unlock()
		switch recorded, left := s.outcome(t.ID); {
		case left:
			return ErrClosed
		case recorded:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// offer puts a trigger among those that the intake takes next, unless it is in hand.
func (s *Site) offer(t plan.Trigger) {
	s.mu.Lock()
	_, known := s.answers[t.ID]
	known = known || s.taken[t.ID] || slices.ContainsFunc(s.offered, func(o plan.Trigger) bool { return o.ID == t.ID })
	if !known {
		s.offered = append(s.offered, t)
	}
	s.mu.Unlock()
	if !known {
		s.Wake()
	}
}

// accept takes the triggers that were offered.
func (s *Site) accept() []plan.Trigger {
	s.mu.Lock()
	defer s.mu.Unlock()
	offered := s.offered
	s.offered = nil
	return offered
}

// outcome reports whether what became of a trigger that was offered is recorded, or
// that nobody works off triggers any more. A site that has nothing to do has recorded
// it, though it may have forgotten that.
func (s *Site) outcome(id string) (recorded, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, answered := s.answers[id]
	return answered && !s.taken[id] || s.still(), s.left
}
