package report

import (
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Composer makes checks of builds. It has no clock and no memory: the same build
// makes the same check. All functions may be nil, and are called by several
// goroutines.
type Composer struct {
	// Page is the address of a build's page, or of a task's if a key is given; ""
	// if there is none.
	Page func(id build.ID, task string) string
	// Tail is what the bytes from and to enclose of the log of a task's last
	// attempt, masked. It is asked for at most TailBytes of it.
	Tail func(id build.ID, t *build.Task, from, to int64) ([]byte, error)
	// Ahead is how many builds go before a queued one; negative if it is not known.
	Ahead func(id build.ID) int
	// Granularity is what the pipeline asks for.
	Granularity func(p *plan.Plan) Granularity
}

// Subjects are the checks of a build, the build's own first.
func (c *Composer) Subjects(s Shown) []Subject {
	all := []Subject{{Shown: s}}
	if !c.perTask(s) || s.Build.AwaitsApproval() {
		return all
	}
	for _, t := range tasks(s.Build, func(*build.Task) bool { return true }) {
		all = append(all, Subject{Shown: s, Task: t.Key})
	}
	return all
}

func (c *Composer) perTask(s Shown) bool {
	return s.Plan != nil && c.Granularity != nil && c.Granularity(s.Plan) == OfTasks
}

// state is how far a check is, without composing it.
func (s Subject) state() forge.State {
	if t, ok := s.task(); ok {
		return taskVerdict(s.Build, t).state
	}
	switch {
	case s.Build.AwaitsApproval() || s.Build.State().Final():
		return forge.Final
	case begun(s.Build):
		return forge.Running
	}
	return forge.Queued
}

// Check composes the check of a subject.
func (c *Composer) Check(s Subject) forge.Check {
	b := s.Build
	check := forge.Check{
		Repository: s.Repository, Commit: b.Trigger.Commit, Ref: b.Trigger.Ref, Pull: pull(b.Trigger.Ref),
		Name: s.Name(), External: s.External(), Page: c.page(b.ID, s.Task),
	}
	if t, ok := s.task(); ok {
		c.ofTask(&check, b, t)
	} else {
		c.ofBuild(&check, s)
	}
	return check
}

func (c *Composer) page(id build.ID, task string) string {
	if c.Page == nil {
		return ""
	}
	return c.Page(id, task)
}

func (c *Composer) ofBuild(check *forge.Check, s Subject) {
	b, ahead := s.Build, -1
	held := b.AwaitsApproval()
	if c.Ahead != nil {
		ahead = c.Ahead(b.ID)
	}
	v := buildVerdict(b, ahead)
	v.fill(check)
	if v.state != forge.Queued && !held {
		check.Started, check.Ended = b.Started, b.Finished
	}
	if from := origins(b); v.conclusion == forge.Success && len(from) == 1 && len(tasks(b, reused)) == b.Counts().Done {
		if page := c.page(from[0], ""); page != "" {
			check.Page = page
		}
	}
	check.Summary, check.Text = c.buildSummary(b, v, check.Page), details(b)
	check.Actions = actions(v, b, held)
	if v.state == forge.Final {
		check.Annotations = problems(b.Refused)
		if !c.perTask(s.Shown) { // else they stand on the checks of the tasks
			check.Annotations = append(check.Annotations, annotations(tasks(b, func(*build.Task) bool { return true }))...)
		}
	}
	settle(check, b.Created)
}

func (c *Composer) ofTask(check *forge.Check, b *build.Build, t *build.Task) {
	v := taskVerdict(b, t)
	v.fill(check)
	if v.state != forge.Queued {
		check.Started, check.Ended = firstStart(t), t.Finished
	}
	if page := c.page(t.Reused.Build, t.Reused.Task); reused(t) && page != "" {
		check.Page = page
	}
	check.Summary = c.taskSummary(b, t, v, check.Page)
	check.Actions = actions(v, b, false)
	if v.state == forge.Final {
		check.Annotations = annotations([]*build.Task{t})
	}
	settle(check, b.Created)
}

// fill is the verdict in the check.
func (v verdict) fill(check *forge.Check) {
	check.State, check.Conclusion, check.Error, check.Title = v.state, v.conclusion, v.mishap, clip(v.title, maxTitle)
}

// maxTitle bounds a title, in bytes: forges show one line of it.
const maxTitle = 200

// settle gives a final check the times that it must have, in their order: what
// never ran ended when it was found out, which is not known better than this.
func settle(check *forge.Check, created time.Time) {
	switch {
	case check.State == forge.Queued:
		return
	case check.Started.IsZero():
		check.Started = created
	}
	if check.State == forge.Final && check.Ended.Before(check.Started) {
		check.Ended = check.Started
	}
	if check.State != forge.Final {
		check.Ended = time.Time{}
	}
}

// firstStart is when the first attempt that is known of began.
func firstStart(t *build.Task) time.Time {
	for _, r := range t.Retried {
		if !r.Started.IsZero() {
			return r.Started
		}
	}
	return t.Started
}

// actions are the buttons that make sense.
func actions(v verdict, b *build.Build, held bool) []forge.Action {
	rerun := forge.Action{Identifier: forge.DoRerun, Label: "Re-run", Description: "Build the same commit again"}
	switch {
	case held:
		return []forge.Action{
			{Identifier: forge.DoApprove, Label: "Approve", Description: fmt.Sprintf("Build %s, without secrets", b.Trigger.Commit.Short())},
			{Identifier: forge.DoCancel, Label: "Cancel", Description: "Do not build it"},
		}
	case v.state != forge.Final:
		return []forge.Action{{Identifier: forge.DoCancel, Label: "Cancel", Description: "End the build"}}
	}
	switch v.conclusion {
	case forge.Failure, forge.TimedOut, forge.Cancelled:
		if b.Refused != "" {
			return []forge.Action{rerun} // without a plan nothing is known to have failed
		}
		failed := forge.Action{Identifier: forge.DoFailed, Label: "Re-run failed", Description: "Build only what did not succeed"}
		return []forge.Action{failed, rerun}
	}
	return nil
}
