package forge

import (
	"context"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A State is how far a check is. States only go up.
type State int

// The states of a check, in their order.
const (
	Queued State = iota
	Running
	Final
)

// A Conclusion is what a final check says, in GitHub's words.
type Conclusion string

// The conclusions that are given.
const (
	Success        Conclusion = "success"
	Failure        Conclusion = "failure"
	Neutral        Conclusion = "neutral"
	Cancelled      Conclusion = "cancelled"
	Skipped        Conclusion = "skipped"
	TimedOut       Conclusion = "timed_out"
	ActionRequired Conclusion = "action_required" // it is held until somebody approves
)

// A Check is what a forge shall show of one build, or of one of its tasks, on a
// commit. All text in it is masked; the forge's limits of length are for the
// Poster to keep.
type Check struct {
	Repository Repository
	Commit     plan.Commit // where it is shown
	Ref        string      // full name of what was built; may be a pull request's ref
	Pull       int64       // number of the pull request; 0 if it is none
	Name       string      // the same for every build of the pipeline, such as "velocity / default"
	External   string      // id of the build, with "/" and a task's key if it is about one

	State      State
	Conclusion Conclusion // of a final one
	Error      bool       // it is our failure or the configuration's, not that of the code
	Started    time.Time  // zero before it runs
	Ended      time.Time  // zero before it is final
	Title      string     // one line
	Summary    string     // Markdown
	Text       string     // Markdown
	Page       string     // address of the build's page; may be ""

	Annotations []Annotation
	Actions     []Action // at most three are shown
}

// An Annotation is a remark on a line of a file.
type Annotation struct {
	Path           string // from the top of the repository
	Line, EndLine  int    // from 1
	Column         int    // from 1; 0 if unknown
	Level          string // notice, warning or failure
	Title, Message string
	Raw            string // details; may be ""
}

// An Action is a button.
type Action struct {
	Identifier  string // one of the Do constants
	Label       string
	Description string
}

// What buttons ask for.
const (
	DoRerun   = "rerun"
	DoFailed  = "rerun-failed"
	DoCancel  = "cancel"
	DoApprove = "approve"
)

// Told is what a forge was told of a check last. It is kept by whoever posts, and
// is given back for the next time; the zero value is a check never posted, or one
// whose record is lost: of that, the forge is asked before it is told.
//
// It is also kept before a post of which it must be known that it was under way:
// External without an ID says that the check may be there, State without a Digest
// that it may have come so far, and Final that is not Done that the outcome may have
// been sent, all of it or a part.
type Told struct {
	External    string // whose check it was
	ID          int64  // the check run's number on GitHub, the pipeline's on GitLab; 0 for none
	State       State
	Digest      string // of everything that was shown
	Annotations int    // how many were sent
	Done        bool   // all of a final check was sent: there is nothing more to say
	At          time.Time
}

// A Poster shows checks on one forge. Posts of one (repository, commit, name) come
// one after the other.
type Poster interface {
	// Post brings what the forge shows up to a check. It returns what the forge
	// knows by then, also beside an error: a post of several requests may end
	// between them. An answer that was lost is found out by asking, never by
	// posting twice.
	Post(ctx context.Context, c Check, told Told) (Told, error)
}
