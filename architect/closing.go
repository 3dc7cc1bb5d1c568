package architect

import (
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Closing tells the builds of a site that nobody needs any more, since what they
// are about is gone: a pull request was closed, a merge group destroyed, a ref
// deleted, the site itself taken away. A field that is zero tells none apart. A
// build is about what its first trigger was: that of a push goes on when the pull
// request is closed that it answered, too.
type Closing struct {
	Event  plan.Event
	Ref    string
	Commit plan.Commit
}

func (c Closing) covers(t plan.Trigger) bool {
	return (c.Event == "" || c.Event == t.Event) && (c.Ref == "" || c.Ref == t.Ref) && (c.Commit == "" || c.Commit == t.Commit)
}

// CancelWhere ends the unfinished builds that a closing covers, also those of
// triggers that were in the inbox when it was called, for a reason such as "pull
// request closed". It returns them when that is durable, or when ctx ends. The
// architect must be running.
func (a *Architect) CancelWhere(ctx context.Context, s *Site, c Closing, reason string) ([]build.ID, error) {
	if err := a.planned(ctx, s, c); err != nil {
		return nil, fmt.Errorf("cancel builds of %s: %w", s.Name, err)
	}
	ids, durable := a.cancelCovered(s, c, reason)
	for range ids {
		select {
		case <-durable:
		case <-ctx.Done():
			return nil, fmt.Errorf("cancel builds of %s: %w", s.Name, context.Cause(ctx))
		}
	}
	return ids, nil
}

// planned waits until the triggers are answered that wait in the inbox now.
func (a *Architect) planned(ctx context.Context, s *Site, c Closing) error {
	pending, err := s.Inbox.Pending(ctx)
	if err != nil {
		return err
	}
	for _, t := range pending {
		if !c.covers(t) {
			continue
		}
		s.Wake() // whoever put it there may not have done so yet
		if _, _, err := a.Answered(ctx, s, t.ID); err != nil {
			return err
		}
	}
	return nil
}

// cancelCovered cancels what a closing covers. durable yields a value for each that is
// recorded.
func (a *Architect) cancelCovered(s *Site, c Closing, reason string) (ids []build.ID, durable chan struct{}) {
	a.mu.Lock()
	defer a.commit()
	durable = make(chan struct{}, len(a.works))
	for id, w := range a.works {
		if w.site != s || !c.covers(w.b.Trigger) || w.b.State().Final() {
			continue
		}
		move := build.Move{Kind: build.Canceling, Reason: reason, At: a.Now()}
		if err := w.do(move, func() { durable <- struct{}{} }); err != nil {
			a.Logger.Error("close", "build", id.String(), "err", err)
			continue
		}
		a.touch(w)
		a.stopAll(w)
		ids = append(ids, id)
	}
	return ids, durable
}
