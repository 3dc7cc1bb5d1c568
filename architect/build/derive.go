package build

import "fmt"

// State of a stage: Waiting until its turn, Building until all its tasks are
// final, then the least successful of them that may not fail. A stage without
// tasks has nothing to wait for: it has succeeded.
func (s *Stage) State() State {
	waiting, final, failed := 0, 0, false
	for i := range s.Tasks {
		t := &s.Tasks[i]
		switch {
		case t.State == Waiting:
			waiting++
		case t.State.Final():
			final++
			failed = failed || t.State == Failed && !t.MayFail
		}
	}
	switch {
	case waiting > 0 && waiting == len(s.Tasks):
		return Waiting
	case final < len(s.Tasks):
		return Building
	case failed:
		return Failed
	}
	return Succeeded
}

// State of a build, derived from its tasks, the refusal to plan it, and the wish
// to end it. A build without tasks never succeeds: it waits to be refused.
func (b *Build) State() State {
	tasks := 0
	for i := range b.Stages {
		tasks += len(b.Stages[i].Tasks)
	}
	switch {
	case b.Refused != "":
		return Failed
	case tasks == 0 && b.Canceled != "":
		return Failed
	case tasks == 0:
		return Building
	}
	for i := range b.Stages {
		switch b.Stages[i].State() {
		case Failed:
			return Failed
		case Building:
			return Building
		case Waiting:
			if b.Canceled != "" && b.quiet() {
				return Failed
			}
			return Building
		}
	}
	return Succeeded
}

// quiet reports whether nothing of the build is under way: every task is final
// or waits for its stage.
func (b *Build) quiet() bool {
	for _, s := range b.Stages {
		for _, t := range s.Tasks {
			if t.State != Waiting && !t.State.Final() {
				return false
			}
		}
	}
	return true
}

// Reason is why a build ended as it did, for people: the refusal, the
// cancellation, or the first task that failed; of a success, that all of it was
// skipped. Of a build that waits for approval it is that. It is "" for others.
func (b *Build) Reason() string {
	switch {
	case b.Refused != "":
		return b.Refused
	case b.State() == Succeeded && b.Counts().Skipped == b.Counts().Tasks:
		return ReasonSkipped
	case b.AwaitsApproval():
		return ReasonHeld
	case b.State() != Failed:
		return ""
	case b.Canceled != "":
		return b.Canceled
	}
	for _, s := range b.Stages {
		for _, t := range s.Tasks {
			if t.State == Failed && !t.MayFail {
				return t.Name + ": " + t.Reason
			}
		}
	}
	return ""
}

// Counts are the numbers in `8/10`.
type Counts struct {
	Done    int // tasks that succeeded and were not skipped; a failed one that may fail is not among them
	Tasks   int
	Skipped int
}

// String is `8/10, 2 skipped`, or `10/10` if none was.
func (c Counts) String() string {
	if c.Skipped > 0 {
		return fmt.Sprintf("%d/%d, %d skipped", c.Done, c.Tasks, c.Skipped)
	}
	return fmt.Sprintf("%d/%d", c.Done, c.Tasks)
}

// Counts adds the build's tasks up.
func (b *Build) Counts() Counts {
	var c Counts
	for _, s := range b.Stages {
		for _, t := range s.Tasks {
			c.Tasks++
			switch {
			case t.State == Succeeded && t.Skip:
				c.Skipped++
			case t.State == Succeeded:
				c.Done++
			}
		}
	}
	return c
}

// TaskReason is the reason to show beside a task's state: a task that still
// waits in a build that is over never ran, and one in a build that has not begun
// waits for somebody's approval, or for the other builds of its group.
func (b *Build) TaskReason(t *Task) string {
	switch {
	case t.State != Waiting:
	case b.State().Final():
		return "never ran"
	case b.AwaitsApproval():
		return ReasonHeld
	case b.Group != "" && b.Started.IsZero():
		return "queued: group " + b.Group
	}
	return t.Reason
}
