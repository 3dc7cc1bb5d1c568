package app

import (
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

// What becomes of a task.
const (
	taskRuns    = "run"
	taskReused  = "reuse"
	taskSkipped = "skip"
)

// A fate is what a build is going to do with one task, and why.
type fate struct {
	Pipeline string `json:"pipeline"` // or blueprint, the plan's name
	Task     string `json:"task"`     // its key
	Name     string `json:"name"`
	Does     string `json:"does"` // run, reuse or skip
	Why      string `json:"why"`
	Build    string `json:"build,omitempty"`  // that is reused
	Origin   string `json:"origin,omitempty"` // the key of the task there
}

func (f *fate) reuse(of build.Origin) {
	f.Does, f.Why = taskReused, "it succeeded there under the same inputs"
	f.Build, f.Origin = of.Build.String(), of.Task
}

// remark is the fate in words.
func (f fate) remark() string {
	switch f.Does {
	case taskReused:
		return fmt.Sprintf("reused from %s, task %s", f.Build, f.Origin)
	case taskSkipped:
		return "skipped: " + f.Why
	}
	return "run: " + f.Why
}

// localRemark is about plans for what velocity run builds.
const localRemark = "as velocity run builds it: everything counts as changed, nothing is reused"

// A forecast says of plans what a server would do with them by what the repository
// records, with the architect's own rules. It reads, and changes nothing.
type forecast struct {
	c     *cli
	src   *origin
	store *storage.Store
	t     plan.Trigger // with the commit that is built

	compared map[string]*architect.Comparison // by pipeline
}

func (c *cli) forecast(src *origin, t plan.Trigger) *forecast {
	return &forecast{c: c, src: src, store: c.openStore(src.repo), t: t, compared: map[string]*architect.Comparison{}}
}

// local says that the plan is for the work tree, whose files are in no commit.
func (f *forecast) local() bool { return f.t.Event == plan.EventLocal }

// comparison is the one with what came before, nil for a local plan.
func (f *forecast) comparison(ctx context.Context, pipeline string) *architect.Comparison {
	if f.local() || f.t.Commit.Zero() {
		return nil
	}
	if f.compared[pipeline] == nil {
		f.compared[pipeline] = architect.Compare(ctx, view{f.src.repo}, f.store, pipeline, f.t)
	}
	return f.compared[pipeline]
}

// match finds the pipelines that the trigger is about.
func (f *forecast) match(ctx context.Context, config *blueprint.Config) ([]blueprint.Matched, error) {
	return config.Match(f.t, func(pipeline string, patterns []string) (bool, error) {
		if c := f.comparison(ctx, pipeline); c != nil {
			return c.Changed(patterns)
		}
		return true, nil
	})
}

// An outlook is what is going to happen to a plan.
type outlook struct {
	about string
	fates []fate
}

func (o outlook) remarks() term.Remarks {
	r := term.Remarks{Plan: o.about, Tasks: map[string]string{}}
	for _, f := range o.fates {
		if f.Why != o.about { // what is said of the plan holds for all of its tasks
			r.Tasks[f.Task] = f.remark()
		}
	}
	return r
}

// draw draws the plan of a pipeline or blueprint and looks what would become of
// its tasks.
func (f *forecast) draw(ctx context.Context, config *blueprint.Config, req blueprint.Request, m blueprint.Matched) (*plan.Plan, outlook, error) {
	reasons := map[string]string{} // by task
	req.Name, req.Explain = m.Name, func(task, why string) { reasons[task] = why }
	compared := f.comparison(ctx, m.Name)
	if compared != nil {
		req.Changed, req.Digest = compared.Changed, compared.Digest
	}
	p, err := f.c.draw(ctx, config, &req)
	if err != nil {
		return nil, outlook{}, err
	}
	if compared != nil {
		p.Base, _ = compared.Base()
	}
	var stands map[string]build.Success
	if compared != nil && !m.Skip {
		if stands, err = architect.Reusable(ctx, f.store, f.kept, p, f.t); err != nil {
			return nil, outlook{}, err
		}
	}
	o := outlook{about: f.about(compared, m.Skip)}
	for i := range p.Stages {
		for j := range p.Stages[i].Tasks {
			t := &p.Stages[i].Tasks[j]
			next := fate{Pipeline: p.Name, Task: t.Key, Name: t.Name}
			if success, ok := stands[t.Key]; ok {
				next.reuse(success.Origin)
			} else {
				next.Does, next.Why = f.decide(t, m.Skip, reasons[t.Key])
			}
			o.fates = append(o.fates, next)
		}
	}
	return p, o, nil
}

// decide says what becomes of a task in whose place nothing stands. skip says that
// all of its pipeline is skipped; reason is what its blueprint has to do with it.
func (f *forecast) decide(t *plan.Task, skip bool, reason string) (does, why string) {
	switch {
	case skip:
		return taskSkipped, "no path of the pipeline changed"
	case t.Skip:
		return taskSkipped, reason
	}
	return taskRuns, f.runs(t, reason)
}

// runs says why a task is built. hindrance is why its result is not reused, as far
// as its blueprint says so.
func (f *forecast) runs(t *plan.Task, hindrance string) string {
	switch {
	case f.local():
		return localRemark
	case f.t.NoReuse || f.t.Parent != "":
		return "nothing is to be reused"
	case t.Effects:
		return "it has effects"
	case len(t.Inputs) == 0:
		return "it names no inputs"
	case t.ReuseKey == "":
		return "not reusable: " + hindrance
	}
	return "no task that is known succeeded under these inputs"
}

// about says what a plan was compared with.
func (f *forecast) about(compared *architect.Comparison, skipped bool) string {
	if f.local() {
		return localRemark
	}
	if compared == nil {
		return ""
	}
	base, asked := compared.Base()
	request := f.t.Event.Proposes() && f.t.Target != ""
	switch {
	case !asked:
		return ""
	case base == "" && request:
		return "everything counts as changed: there is no merge base with " + f.t.Target
	case base == "":
		return "everything counts as changed: no earlier commit is known to have succeeded"
	}
	since := base.Short() + ", the last commit that succeeded"
	if request {
		since = base.Short() + ", the merge base with " + f.t.Target
	}
	if skipped {
		return "skipped: its paths did not change since " + since
	}
	return "compared with " + since
}

// kept reports whether a task's artifacts are still there, as far as this machine
// knows.
func (f *forecast) kept(ctx context.Context, of build.Origin) bool {
	blobs, err := f.c.openBlobs(ctx, f.src.repo, f.c.env[envBlobs], of.Build.Store, false)
	if err != nil {
		return false
	}
	_, err = blobs.Artifacts(ctx, of.Build.Number, of.Task)
	return blobs.Close() == nil && err == nil
}
