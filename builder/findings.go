package builder

import (
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/report"
)

// heed runs a step while its output is looked at, and keeps what it names if the
// step fails: who succeeds has only mentioned it.
func (t *attempt) heed(step func() error) error {
	lines := new(report.Lines)
	t.journal.lines = lines
	err := step()
	t.journal.lines = nil
	if verdict, _ := judge(err); verdict == dispatch.Failed {
		t.suspects = append(t.suspects, lines)
	}
	return err
}

// watched has what is written to below looked at as well.
func (j *journal) watched(below io.WriteCloser) io.WriteCloser {
	if j.lines == nil {
		return below
	}
	return &watcher{WriteCloser: below, lines: j.lines.Stream()}
}

type watcher struct {
	io.WriteCloser
	lines *report.Stream
}

func (w *watcher) Write(p []byte) (int, error) {
	_, _ = w.lines.Write(p) // never fails
	return w.WriteCloser.Write(p)
}

// gather reads what the tools of the task have to say, before the workspace goes.
func (t *attempt) gather() {
	want := t.given.Task.Reports
	if len(want.JUnit)+len(want.SARIF)+len(t.suspects) == 0 {
		return
	}
	root, err := os.OpenRoot(t.workspace.Dir)
	if err != nil {
		t.log.Warn("reports cannot be read", slog.Any("error", err))
		return
	}
	defer root.Close()
	places := report.NewPlaces(root.FS().(fs.StatFS), t.mounts()...)
	found := report.Read(root, want, places, t.masker.String)
	for _, problem := range found.Problems {
		t.journal.note(t.masker, "%s", problem)
	}
	for _, lines := range t.suspects {
		found.Findings = append(found.Findings, lines.Findings(places)...)
	}
	for i := range found.Findings {
		f := &found.Findings[i]
		f.File = t.masker.String(f.File)
	}
	t.tests, t.findings = found.Tests, build.Bounded(found.Findings)
}

// mounts are the places at which steps of the task saw the workspace.
func (t *attempt) mounts() []string {
	seen := []string{t.workspace.Dir, plan.DefaultMountPoint}
	for _, s := range t.given.Task.Steps {
		if s.Run != nil && s.Run.MountPoint != "" && !slices.Contains(seen, s.Run.MountPoint) {
			seen = append(seen, s.Run.MountPoint)
		}
	}
	return seen
}
