package architect

import (
	"context"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// A Viewer is shown a build while it is built. An error ends the view.
type Viewer interface {
	// Build shows the build as recorded; it must not be changed.
	Build(b *build.Build) error
	// Log shows a piece of the log of the task's current attempt.
	Log(b *build.Build, t *build.Task, offset int64, data []byte) error
}

// pieceSize bounds a piece of a log, in bytes.
const pieceSize = 256 << 10

// Follow shows the build until it is final and in the archive. It returns nil
// then, and otherwise what ended it before: ErrClosed if its site was closed.
func (v *Watch) Follow(ctx context.Context, to Viewer) error {
	seen := map[dispatch.Attempt]int64{}
	for shown := (*build.Build)(nil); ; {
		b, over, changed := v.State()
		if b != shown {
			if err := v.show(shown, b, seen, to); err != nil {
				return err
			}
			shown = b
		}
		if err := v.logs(b, seen, to); err != nil {
			return err
		}
		if over {
			return nil
		}
		if v.Left() {
			return ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// show shows a new state, after the rest of what was printed by tasks that ran in
// the one before: a task's outcome comes after its last line.
func (v *Watch) show(before, b *build.Build, seen map[dispatch.Attempt]int64, to Viewer) error {
	if before != nil {
		if err := v.logs(before, seen, to); err != nil {
			return err
		}
	}
	return to.Build(b)
}

// logs shows what the logs of current attempts have gained.
func (v *Watch) logs(b *build.Build, seen map[dispatch.Attempt]int64, to Viewer) error {
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			at := dispatch.Attempt{Build: b.ID, Task: t.Key, Number: t.Attempt}
			if t.Attempt == 0 || t.State.Final() && seen[at] >= t.Log.Bytes {
				continue // nothing more will come: not worth a look at the disk
			}
			if err := v.log(b, t, at, seen, to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *Watch) log(b *build.Build, t *build.Task, at dispatch.Attempt, seen map[dispatch.Attempt]int64, to Viewer) error {
	for {
		data, err := v.w.site.Logs.Read(at, seen[at], pieceSize)
		if err != nil {
			v.a.Logger.Warn("read running log", "attempt", at.String(), "err", err)
			return nil // the build matters more than the view of it
		}
		if len(data) == 0 {
			return nil
		}
		if err := to.Log(b, t, seen[at], data); err != nil {
			return err
		}
		seen[at] += int64(len(data))
	}
}
