package hooks

// An Action is what is done about an event.
type Action string

// The actions. Those that make or end builds look at git and at the forge first: the
// event says no more than where to look.
const (
	Build       Action = "build"        // the branch or tag
	Remember    Action = "remember"     // the tip as known, without a build
	Cancel      Action = "cancel"       // what was not finished for the ref
	Reconcile   Action = "reconcile"    // the repository: refs and pull requests with what was planned
	BuildPull   Action = "build pull"   // the pull request's head
	LookPull    Action = "look at pull" // build or cancel, by its state
	CancelPull  Action = "cancel pull"  // what was not finished for the pull request
	BuildGroup  Action = "build group"  // the merge group
	CancelGroup Action = "cancel group" // what was not finished for the merge group
	Rerun       Action = "rerun"        // the build whose check it is
	RerunSuite  Action = "rerun suite"  // the builds of the commit
	Do          Action = "do"           // what the button says
	Obey        Action = "obey"         // the command in a comment
	Access      Action = "access"       // list what may be built now
	Lose        Action = "lose"         // stop building what may not be built any more
	Refresh     Action = "refresh"      // the repository's record, from the forge
	RefreshAll  Action = "refresh all"  // the records of all repositories
	Remove      Action = "remove"       // the repository: it is gone
	Drop        Action = "drop"         // nothing is done
)

// A Row of the table says what is done about events of one kind.
type Row struct {
	Kind   Kind
	GitHub string // the deliveries that mean it; "" if GitHub has none
	GitLab string
	When   Condition
	Action Action
	Text   string // what is done, for people
}

// A Condition is what else has to hold for a row to be the one.
type Condition string

// The conditions.
const (
	Always  Condition = ""
	Foreign Condition = "the check is not that of our App"
	Unbuilt Condition = "push option `ci.skip`"
)

// What rows with a condition share with those behind them.
const (
	hubRunAgain   = "`check_run` rerequested"
	hubSuiteAgain = "`check_suite` rerequested"
	hubSuiteNew   = "`check_suite` requested"
	hubButton     = "`check_run` requested_action"
	foreign       = "Only the App that made a check answers for it."
	skipped       = "If it is the tip still, it counts as seen, so that looking at the refs later builds nothing either."
)

// table is what is done about events: of the rows of a kind, the first whose
// condition holds. docs/webhooks.md shows it.
var table = []Row{
	{BranchPushed, "", "Push Hook", Unbuilt, Remember, skipped},
	{BranchPushed, "`push` of a branch", "Push Hook", Always, Build,
		"The branch is read from git; what its pipelines match is built. If a pull request of the same repository has this commit, there is one build for both."},
	{TagPushed, "", "Tag Push Hook", Unbuilt, Remember, skipped},
	{TagPushed, "`push` of a tag", "Tag Push Hook", Always, Build,
		"The tag is read from git and peeled; what its pipelines match is built. Other pushes never cancel it."},
	{RefDeleted, "`push` with deleted", "Push Hook or Tag Push Hook to zeros", Always, Cancel,
		"Builds of the ref that are not finished are cancelled."},
	{RefsChanged, "", "System Hook repository_update", Always, Reconcile,
		"The refs are compared with what was planned, and what is missing is built."},

	{PullOpened, "`pull_request` opened, reopened, ready_for_review", "Merge Request Hook open, reopen; update from draft to ready", Always, BuildPull,
		"The head is built, unless it was: then the result is shown again; a build that ended since the pull request was closed is none. That of a fork waits for an approval."},
	{PullPushed, "`pull_request` synchronize", "Merge Request Hook update with oldrev", Always, BuildPull,
		"Builds of older heads are cancelled, also those of pushes of its branch unless that is protected, and the new head is built. Approvals were for the old head, and are void."},
	{PullRetargeted, "`pull_request` edited with changes.base", "Merge Request Hook update with changes.target_branch", Always, BuildPull,
		"It is built for its new target."},
	{PullLabeled, "`pull_request` labeled", "Merge Request Hook update with changes.labels", Always, Drop,
		"Labels start nothing."},
	{PullClosed, "`pull_request` closed", "Merge Request Hook close, merge", Always, CancelPull,
		"The forge is asked how it is. If it is closed, builds of it that are not finished are cancelled."},
	{PullOther, "", "System Hook merge_request without an action", Always, LookPull,
		"The forge is asked how it is, and it is built or cancelled accordingly."},

	{GroupRequested, "`merge_group` checks_requested", "", Always, BuildGroup,
		"The group's commit is built under the same names of checks. Pushes never cancel it."},
	{GroupGone, "`merge_group` destroyed, unless merged", "", Always, CancelGroup,
		"Builds of the group that are not finished are cancelled."},

	{CheckRerun, hubRunAgain, "", Foreign, Drop, foreign},
	{CheckRerun, hubRunAgain, "", Always, Rerun,
		"The build that the check is about runs again, by the same configuration, if the sender may write and none like it is under way."},
	{SuiteRerun, hubSuiteAgain, "", Foreign, Drop, foreign},
	{SuiteRerun, hubSuiteAgain, "", Always, RerunSuite,
		"Of the newest builds of the commit those that failed or were cancelled run again; if there are none, all; if the sender may write. One that is not over goes on."},
	{SuiteAsked, hubSuiteNew, "", Foreign, Drop, foreign},
	{SuiteAsked, hubSuiteNew, "", Always, Reconcile,
		"If its commit is unknown, the push was missed: the refs are compared with what was planned."},
	{ActionAsked, hubButton, "", Foreign, Drop, foreign},
	{ActionAsked, hubButton, "", Always, Do,
		"Rerun, rerun failed, cancel or approve, if the sender may write."},
	{Commanded, "`issue_comment` created on a pull request", "Note Hook on a merge request", Always, Obey,
		"Rerun, rerun failed, cancel or approve the builds of its head, if the pull request is open and the sender may write. For a fork, approve names the commit."},

	{AccessGained, "`installation` created, unsuspend, new_permissions_accepted; `installation_repositories` added", "", Always, Access,
		"Repositories and permissions are listed anew. What is old is not built."},
	{AccessLost, "`installation` deleted, suspend; `installation_repositories` removed", "", Always, Lose,
		"Builds are cancelled and nothing is reported any more. History is kept."},
	{RepositoryChanged, "`repository` created, renamed, transferred, archived, unarchived, privatized, publicized, edited", "System Hook project_create, project_rename, project_transfer, project_update", Always, Refresh,
		"The record is read from the forge by the repository's number. An archived one is not built."},
	{NamesChanged, "", "System Hook group_rename, user_rename", Always, RefreshAll,
		"The records of all repositories are read from the forge by their numbers."},
	{RepositoryDeleted, "`repository` deleted", "System Hook project_destroy", Always, Remove,
		"If the forge has it no more, builds are cancelled. History is kept."},

	{Ping, "`ping`", "", Always, Drop, "The hook works; the list of deliveries shows it."},
	{Ignored, "everything else", "everything else", Always, Drop, "It is counted."},
}

// Decide finds the row for an event. app is the number of our GitHub App; 0 if there
// is none, and then no check is ours.
func Decide(e Event, app int64) Row {
	for _, row := range table {
		if row.Kind == e.Kind && row.When.holds(e, app) {
			return row
		}
	}
	return Row{Kind: e.Kind, Action: Drop, Text: "Nobody knows this kind."}
}

func (c Condition) holds(e Event, app int64) bool {
	switch c {
	case Foreign:
		return app == 0 || e.App != app
	case Unbuilt:
		return e.Skip
	}
	return true
}
