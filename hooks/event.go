package hooks

import (
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Kind is what a delivery of a forge is about, in words that fit all forges. The
// table of actions has a row for each.
type Kind string

// The kinds of events.
const (
	BranchPushed Kind = "branch pushed"
	TagPushed    Kind = "tag pushed"
	RefDeleted   Kind = "ref deleted"
	RefsChanged  Kind = "refs changed" // some refs, and they are to be read

	PullOpened     Kind = "pull request opened" // or reopened, or ready for review
	PullPushed     Kind = "pull request pushed" // a new head
	PullRetargeted Kind = "pull request retargeted"
	PullLabeled    Kind = "pull request labeled"
	PullClosed     Kind = "pull request closed" // merged or not
	PullOther      Kind = "pull request"        // look at its state

	GroupRequested Kind = "merge group requested"
	GroupGone      Kind = "merge group destroyed" // and was not merged

	CheckRerun  Kind = "check re-requested"
	SuiteRerun  Kind = "suite re-requested"
	SuiteAsked  Kind = "suite requested" // a push is known, or was missed
	ActionAsked Kind = "action requested"
	Commanded   Kind = "command" // a comment with a line for us

	AccessGained Kind = "access gained" // repositories are there to be built, or permissions changed
	AccessLost   Kind = "access lost"

	RepositoryChanged Kind = "repository changed" // name, owner, default branch, visibility, archive
	RepositoryDeleted Kind = "repository deleted"
	NamesChanged      Kind = "names changed" // of a group or a person, so of any repository below

	Ping    Kind = "ping"
	Ignored Kind = "ignored" // nothing for us, for the reason in Event.Note
)

// An Event is what a delivery says, as far as it is used. All of it is a hint: who
// acts on it looks the repository up by its number, and asks git and the forge for
// the rest.
type Event struct {
	Kind         Kind
	Note         string // for people: why it is ignored, or what it is
	Repository   int64  // the forge's number; 0 if it is about none
	Name         string // of the repository, for people
	Installation int64  // of the GitHub App; 0 if none is named
	Sender       Person

	Ref    string      // full name of the ref that was pushed, or of the merge group
	Commit plan.Commit // what it is about, peeled; "" if unknown or gone; of a command, the one it names
	Before plan.Commit // what was there, or below a merge group; "" if nothing was, or it is unknown
	Forced bool
	Skip   bool // the pusher wants no build (push option)

	Pull       int64  // number of the pull request
	Target     string // full name of the branch that the pull request or group is for
	Fork       bool   // of a pull request: its head is elsewhere, or gone, or nobody said where
	Draft      bool
	Labels     []string // that were added
	Superseded bool     // of a merge group that is gone: the queue makes another in its place

	App      int64  // whose check it is
	External string // of the check: the id of a build of ours
	Check    string // the check's name
	Action   string // what a button or a command asks for: identifier of the button, or an Ask

	Repositories []int64 // that access was gained to or lost for; nil means all of the installation
}

// A Person is somebody on a forge.
type Person struct {
	ID    int64
	Login string
	Bot   bool
}
