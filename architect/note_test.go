package architect_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/require"
)

// A notice is durable when Note returns, and there once, and what is not in the
// architect's hands is somebody else's.
func TestNote(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		begun, end := make(chan build.ID, 10), make(chan bool)
		g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
			begun <- a.Attempt.Build
			<-end
			return dispatch.Result{Verdict: dispatch.Succeeded}
		})
		g.run()
		g.here()
		g.site.Look()
		id := <-begun
		for _, text := range []string{"slack: 500", "webhook: 410", "slack: 500"} {
			if err := g.a.Note(t.Context(), id, text); err != nil {
				t.Fatal(err)
			}
			if v, ok := g.a.Watch(id); ok {
				if b, _, _ := v.State(); !slices.Contains(b.Notices, text) {
					t.Errorf("%q is not durable: %q", text, b.Notices)
				}
				v.Close()
			}
		}
		close(end)
		b := g.final()
		if got := b.Notices; !slices.Equal(got, []string{"slack: 500", "webhook: 410"}) || b.State() != build.Succeeded {
			t.Errorf("%s with %q", b.State(), got)
		}
		if err := g.a.Note(t.Context(), build.ID{Store: "zzzzzz", Number: 1}, "x"); !errors.Is(err, architect.ErrNoBuild) {
			t.Errorf("a build of nobody: %v", err)
		}
	})
}
