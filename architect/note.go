package architect

import (
	"context"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
)

// Note adds a notice to the event log of a build in the architect's hands: what went
// wrong beside it. The same text is there once, however often it is given. It returns
// when the notice is durable, or when ctx ends. ErrNoBuild if the build is not in the
// architect's hands: if it is in the archive, its ledger takes notices.
func (a *Architect) Note(ctx context.Context, id build.ID, text string) error {
	durable := make(chan struct{})
	if err := a.note(id, text, func() { close(durable) }); err != nil {
		return fmt.Errorf("note about %s: %w", id, err)
	}
	select {
	case <-durable:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("note about %s: %w", id, context.Cause(ctx))
	}
}

// note is Note up to where it waits.
func (a *Architect) note(id build.ID, text string, then func()) error {
	a.mu.Lock()
	defer a.commit()
	w, ok := a.works[id]
	switch {
	case !ok:
		return ErrNoBuild
	case w.site.closed:
		return ErrClosed
	case slices.Contains(w.b.Notices, text): // it may be on its way
		w.record(nil, then)
	default:
		if err := w.do(build.Move{Kind: build.Notice, Reason: text, At: a.Now()}, then); err != nil {
			return err
		}
	}
	a.touch(w)
	return nil
}
