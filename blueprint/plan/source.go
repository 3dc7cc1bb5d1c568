package plan

import (
	"fmt"
	"strings"
	"time"
)

// A Commit is a full object id, 40 or 64 lower-case hex digits.
type Commit string

// ParseCommit accepts 40 (SHA-1) or 64 (SHA-256) hex digits and nothing shorter:
// an abbreviation that is unique today may not be tomorrow.
func ParseCommit(s string) (Commit, error) {
	if len(s) != 40 && len(s) != 64 {
		return "", fmt.Errorf("commit %q is not 40 or 64 hex digits", s)
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("commit %q is not 40 or 64 hex digits", s)
		}
	}
	return Commit(s), nil
}

// Short is the abbreviation people see. It is never read back.
func (c Commit) Short() string { return string(c[:min(7, len(c))]) }

// Zero reports whether c stands for "no commit", as git says it in hooks: all
// zeros, or nothing at all.
func (c Commit) Zero() bool { return strings.Trim(string(c), "0") == "" }

// An Event is the class of what asked for a build.
type Event string

// The event classes known so far.
const (
	EventPush   Event = "push"   // a branch or tag has a new tip
	EventManual Event = "manual" // somebody asked for it by name
	EventLocal  Event = "local"  // `velocity run` on a checkout; never trusted by others

	EventPullRequest Event = "pull_request" // a pull or merge request has a new head
	EventMergeGroup  Event = "merge_group"  // a queue wants to know whether pull requests can be merged together
	EventSchedule    Event = "schedule"     // its time has come
)

// Proposes reports whether the event is about what shall become a part of a branch
// and is not yet.
func (e Event) Proposes() bool { return e == EventPullRequest || e == EventMergeGroup }

// Prefixes of the refs that builds are about.
const (
	BranchPrefix = "refs/heads/"
	TagPrefix    = "refs/tags/"
)

// Branch is the branch that ref names, or "".
func Branch(ref string) string { return after(ref, BranchPrefix) }

// Tag is the tag that ref names, or "".
func Tag(ref string) string { return after(ref, TagPrefix) }

func after(ref, prefix string) string {
	if name, ok := strings.CutPrefix(ref, prefix); ok {
		return name
	}
	return ""
}

// A Trigger is a delivery made normal: what happened, and what is asked for. It
// is a hint about the repository and never the truth about it: refs are read
// again from git when the trigger is planned.
type Trigger struct {
	ID       string    `json:"id"` // unique in its store; the name of the inbox ref
	Event    Event     `json:"event"`
	Ref      string    `json:"ref,omitempty"` // full name; "" when a bare commit was asked for
	Commit   Commit    `json:"commit"`        // new tip; may be a tag object until it is planned
	Before   Commit    `json:"before,omitempty"`
	Target   string    `json:"target,omitempty"` // full name of the branch that a pull request or merge group is for
	Head     string    `json:"head,omitempty"`   // full name of the branch of this repository that a pull request is made of; "" if it is elsewhere, or not known
	Trust    Trust     `json:"trust,omitempty"`  // whose code it is
	Actor    string    `json:"actor,omitempty"`  // for people to read, never for rights
	Received time.Time `json:"received"`

	// Name asks for one pipeline or blueprint. Without it every pipeline whose
	// `on` matches is drawn.
	Name string `json:"name,omitempty"`
	// Parameters were given by the person who asked.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Request makes an asked-for build one of its own: an equal automatic trigger
	// would be linked to the build that exists.
	Request string `json:"request,omitempty"`
	// Parent is the id of the build that this one runs again.
	Parent string `json:"parent,omitempty"`
	// MayApprove says that the one who asked for Parent again may approve builds here:
	// what was approved there needs no second approval.
	MayApprove bool `json:"mayApprove,omitempty"`
	// Failed keeps what succeeded in Parent, and builds only what failed there or
	// never ran, by the same plan.
	Failed bool `json:"failed,omitempty"`
	// NoReuse has every task built, also those that an earlier success could stand
	// in for.
	NoReuse bool `json:"noReuse,omitempty"`
	// Skip asks only to remember the tip: the one who pushed wants no build.
	Skip bool `json:"skip,omitempty"`
}
