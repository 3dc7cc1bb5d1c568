package builder

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/require"
)

// A log that finds no room on the disk is nobody's fault: the task is tried
// again, however its step went.
func TestFullDiskInterrupts(t *testing.T) {
	w := newBench(t)
	require.Have(t, "root", unix.Mount("tmpfs", w.SpoolDir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() {
		if err := unix.Unmount(w.SpoolDir, 0); err != nil {
			t.Error(err)
		}
	})
	for i, end := range []string{"true", "exit 3"} {
		task := script("head -c 200000 /dev/zero | tr '\\0' x; "+end, "echo never")
		task.Steps[0].IgnoreErrors = true
		r := w.build(t, task, func(a *dispatch.Assignment) { a.Attempt.Number += i })
		if r.Verdict != dispatch.Interrupted || !strings.Contains(r.Reason, "no space left on device") {
			t.Errorf("ended %s, %q", r.Verdict, r.Reason)
		}
		if last := r.Steps[2].State; last != build.Waiting {
			t.Errorf("the step after it is %s", last)
		}
		w.checkClean(t)
	}
}
