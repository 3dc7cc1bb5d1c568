package builder

import (
	"context"
	"time"
)

// guardWorkspace measures the workspace now and then and ends the work with the
// reason once it takes more than its limit on the disk. What was left to it until
// then, the disk's floor must bear. stop returns when no measuring is under way.
func (t *attempt) guardWorkspace(ctx context.Context, end context.CancelCauseFunc) (stop func()) {
	limit := t.builder.WorkspaceLimit
	if limit <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(t.builder.pace.measureEvery())
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			// An error is no verdict: the step may just be moving what is measured.
			if used, err := diskUse(t.workspace.Dir); err == nil && used > limit {
				end(failed("the workspace takes %d MiB, more than its limit of %d MiB", used>>20, limit>>20))
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}
