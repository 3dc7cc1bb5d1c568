package build

import (
	"errors"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// ReasonHeld is shown beside what waits for an approval.
const ReasonHeld = "held: approval"

// An Approval says that a held build may start. It is good for one commit and one
// plan.
type Approval struct {
	Commit plan.Commit // that was looked at
	Digest string      // of the plan that was looked at
	By     string      // who approves, for people to read
	At     time.Time   // filled in by Do
}

// ErrNotHeld means that a build never waited for approval, or is over.
var ErrNotHeld = errors.New("it does not wait for approval")

// A MismatchError means that something else was approved than the build is of.
type MismatchError struct {
	Commit plan.Commit // of the build
	Digest string      // of its plan
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("what was approved is not what would be built: commit %s by plan %s", e.Commit, e.Digest)
}

// AwaitsApproval reports whether nothing of the build starts before somebody says
// that it may.
func (b *Build) AwaitsApproval() bool { return b.Held && b.Approval == nil && !b.State().Final() }

// approvable refuses approvals of what does not wait for one, of something else,
// and by nobody.
func (b *Build) approvable(a *Approval) error {
	switch {
	case !b.Held:
		return ErrNotHeld
	case a == nil || a.By == "":
		return errors.New("nobody approves it")
	case a.Commit != b.Trigger.Commit || a.Digest != b.Plan || a.Digest == "":
		return &MismatchError{Commit: b.Trigger.Commit, Digest: b.Plan}
	}
	return nil
}
