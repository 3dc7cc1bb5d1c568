package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Green reports whether a build of the commit succeeded that says what the
// pipeline makes of it: one of the own store that was pushed, asked for or due,
// and not a `velocity run` of somebody's checkout, nor of a stranger's code, whose
// success is theirs to make, nor one that was skipped, which looked at nothing.
func (s *Store) Green(ctx context.Context, c plan.Commit, pipeline string) (bool, error) {
	own, err := s.ID()
	if err != nil || own == "" {
		return false, err
	}
	ids, err := s.noted(c)
	if err != nil {
		return false, fmt.Errorf("read note of %s: %w", c, err)
	}
	for _, id := range ids {
		if id.Store != own || ctx.Err() != nil {
			continue
		}
		tree, err := s.locate(id)
		if errors.Is(err, ErrNoBuild) {
			continue // anybody can write a note
		}
		if err != nil {
			return false, fmt.Errorf("read build %s: %w", id, err)
		}
		b, err := s.build(id, tree)
		if err != nil {
			return false, fmt.Errorf("read build %s: %w", id, err)
		}
		if b.Trigger.Commit == c && b.Name == pipeline && b.Trigger.Event != plan.EventLocal && b.Trigger.Trusted() && b.State() == build.Succeeded && b.Reason() != build.ReasonSkipped {
			return true, nil
		}
	}
	return false, ctx.Err()
}
