package hooks

import (
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// pull is an event about pull request 7, whose head is commit two.
func pull(kind Kind, change func(e *Event)) Event {
	e := Event{Kind: kind, Repository: 1, Pull: 7, Commit: two, Target: "refs/heads/main"}
	change(&e)
	return e
}

// check is an event about a check of an App on commit two.
func check(kind Kind, app int64) Event {
	return Event{Kind: kind, Repository: 1, Commit: two, App: app}
}

var (
	same    = func(*Event) {}
	gone    = func(e *Event) { e.Fork = true }
	noHead  = func(e *Event) { e.Commit, e.Target = "", "" }
	mainRef = "refs/heads/main"
)

var hubMeans = map[string]meaning{
	"github/push--branch": {Event{Kind: BranchPushed, Repository: 3_000_000_000, Name: "o/r", Installation: 9, Sender: Person{ID: 5, Login: "ann"},
		Ref: "refs/heads/feature/ä%2F", Commit: two, Before: one, Forced: true}, Build},
	"github/push--sha256":           {Event{Kind: BranchPushed, Repository: 1, Ref: mainRef, Commit: plan.Commit(strings.Repeat("2", 64))}, Build},
	"github/push--merge-queue":      {Event{Kind: Ignored, Repository: 1, Ref: "refs/heads/gh-readonly-queue/main/pr-1-1111", Commit: two}, Drop},
	"github/push--notes":            {Event{Kind: Ignored, Repository: 1, Ref: "refs/notes/velocity"}, Drop},
	"github/push--tag-annotated":    {Event{Kind: TagPushed, Repository: 1, Ref: "refs/tags/v1", Commit: two}, Build},
	"github/push--tag-of-no-commit": {Event{Kind: TagPushed, Repository: 1, Ref: "refs/tags/v1"}, Build},
	"github/push--deleted":          {Event{Kind: RefDeleted, Repository: 1, Ref: mainRef, Before: one}, Cancel},
	"github/pull_request--opened": {pull(PullOpened, func(e *Event) {
		e.Name, e.Target, e.Draft, e.Sender = "o/r", "refs/heads/release/1", true, Person{5, "dependabot[bot]", true}
	}), BuildPull},
	"github/pull_request--synchronize":           {pull(PullPushed, func(e *Event) { e.Before = one }), BuildPull},
	"github/pull_request--reopened-fork-gone":    {pull(PullOpened, gone), BuildPull},
	"github/pull_request--ready_for_review-fork": {pull(PullOpened, gone), BuildPull},
	"github/pull_request--edited-base":           {pull(PullRetargeted, same), BuildPull},
	"github/pull_request--edited-title":          {Event{Kind: Ignored, Repository: 1, Pull: 7, Fork: true}, Drop},
	"github/pull_request--labeled":               {pull(PullLabeled, func(e *Event) { noHead(e); e.Labels = []string{"ci:run"} }), Drop},
	"github/pull_request--closed":                {pull(PullClosed, noHead), CancelPull},
	"github/pull_request--odd-types":             {pull(PullClosed, noHead), CancelPull},
	"github/merge_group--checks_requested":       {Event{Kind: GroupRequested, Repository: 1, Ref: "refs/heads/gh-readonly-queue/main/pr-1-1111", Commit: two, Before: one, Target: mainRef}, BuildGroup},
	"github/merge_group--destroyed":              {Event{Kind: GroupGone, Repository: 1, Commit: two, Target: mainRef, Superseded: true}, CancelGroup},
	"github/merge_group--merged":                 {Event{Kind: Ignored, Repository: 1, Commit: two}, Drop},
	"github/check_run--rerequested":              {Event{Kind: CheckRerun, Repository: 1, Commit: two, App: ourApp, Check: "velocity / default", External: "b1/test"}, Rerun},
	"github/check_run--rerequested-foreign":      {check(CheckRerun, 43), Drop},
	"github/check_run--requested_action":         {Event{Kind: ActionAsked, Repository: 1, Commit: two, App: ourApp, Check: "velocity / default", External: "b1", Action: AskFailed}, Do},
	"github/check_run--requested_action-foreign": {Event{Kind: ActionAsked, Repository: 1, Commit: two, Action: AskApprove}, Drop},
	"github/check_run--completed":                {check(Ignored, ourApp), Drop},
	"github/check_suite--rerequested":            {check(SuiteRerun, ourApp), RerunSuite},
	"github/check_suite--rerequested-foreign":    {check(SuiteRerun, 43), Drop},
	"github/check_suite--requested":              {check(SuiteAsked, ourApp), Reconcile},
	"github/check_suite--requested-foreign":      {check(SuiteAsked, 43), Drop},
	"github/check_suite--completed":              {check(Ignored, ourApp), Drop},
	"github/issue_comment--approve":              {Event{Kind: Commanded, Repository: 1, Pull: 7, Action: AskApprove, Commit: two, Sender: Person{ID: 5, Login: "ann"}}, Obey},
	"github/issue_comment--talk":                 {Event{Kind: Ignored, Repository: 1, Pull: 7}, Drop},
	"github/issue_comment--closed":               {Event{Kind: Ignored, Repository: 1, Pull: 7}, Drop},
	"github/issue_comment--issue":                {Event{Kind: Ignored, Repository: 1, Pull: 7}, Drop},
	"github/issue_comment--edited":               {Event{Kind: Ignored, Repository: 1, Pull: 7}, Drop},
	"github/installation--created":               {Event{Kind: AccessGained, Installation: 9, Sender: Person{ID: 5, Login: "ann"}}, Access},
	"github/installation--suspend":               {Event{Kind: AccessLost, Installation: 9}, Lose},
	"github/installation_repositories--added":    {Event{Kind: AccessGained, Installation: 9, Repositories: []int64{1, 3_000_000_000}}, Access},
	"github/installation_repositories--removed":  {Event{Kind: AccessLost, Installation: 9, Repositories: []int64{1}}, Lose},
	"github/repository--renamed":                 {Event{Kind: RepositoryChanged, Repository: 1, Name: "o/new"}, Refresh},
	"github/repository--deleted":                 {Event{Kind: RepositoryDeleted, Repository: 1, Name: "o/r"}, Remove},
	"github/ping--organization":                  {Event{Kind: Ping}, Drop},
	"github/status--bot":                         {Event{Kind: Ignored}, Drop},
	"github/sponsorship--new":                    {Event{Kind: Ignored}, Drop},
}

var labMeans = map[string]meaning{
	"gitlab/Push Hook--branch": {Event{Kind: BranchPushed, Repository: 3_000_000_000, Name: "g/s/p", Sender: Person{ID: 5, Login: "ann"},
		Ref: mainRef, Commit: two, Before: one}, Build},
	"gitlab/Push Hook--skip":                {Event{Kind: BranchPushed, Repository: 1, Ref: mainRef, Commit: two, Skip: true}, Remember},
	"gitlab/Push Hook--deleted":             {Event{Kind: RefDeleted, Repository: 1, Ref: mainRef, Before: one}, Cancel},
	"gitlab/Tag Push Hook--annotated":       {Event{Kind: TagPushed, Repository: 1, Ref: "refs/tags/v1", Commit: two}, Build},
	"gitlab/Tag Push Hook--skip":            {Event{Kind: TagPushed, Repository: 1, Ref: "refs/tags/v1", Skip: true}, Remember},
	"gitlab/Tag Push Hook--deleted":         {Event{Kind: RefDeleted, Repository: 1, Ref: "refs/tags/v1", Before: "3333333333333333333333333333333333333333"}, Cancel},
	"gitlab/System Hook--push":              {Event{Kind: BranchPushed, Repository: 1, Sender: Person{ID: 5}, Ref: mainRef, Commit: two}, Build},
	"gitlab/System Hook--repository_update": {Event{Kind: RefsChanged, Repository: 1, Sender: Person{ID: 5}}, Reconcile},
	"gitlab/Merge Request Hook--open": {pull(PullOpened, func(e *Event) {
		e.Name, e.Target, e.Draft, e.Sender = "g/p", "refs/heads/release/1", true, Person{ID: 5, Login: "ann"}
	}), BuildPull},
	"gitlab/Merge Request Hook--reopen-fork":     {pull(PullOpened, gone), BuildPull},
	"gitlab/Merge Request Hook--ready":           {pull(PullOpened, noHead), BuildPull},
	"gitlab/Merge Request Hook--pushed":          {pull(PullPushed, func(e *Event) { e.Target, e.Before, e.Draft = "", one, true }), BuildPull},
	"gitlab/Merge Request Hook--retargeted":      {pull(PullRetargeted, func(e *Event) { e.Commit = "" }), BuildPull},
	"gitlab/Merge Request Hook--labeled":         {pull(PullLabeled, func(e *Event) { noHead(e); e.Labels = []string{"ci:run", "ok"} }), Drop},
	"gitlab/Merge Request Hook--assigned":        {pull(Ignored, noHead), Drop},
	"gitlab/Merge Request Hook--close-fork-gone": {pull(PullClosed, func(e *Event) { noHead(e); e.Fork = true }), CancelPull},
	"gitlab/Service Hook--merge":                 {pull(PullClosed, noHead), CancelPull},
	"gitlab/Merge Request Hook--approved":        {pull(Ignored, func(e *Event) { noHead(e); e.Fork = true }), Drop},
	"gitlab/System Hook--merge_request":          {pull(PullOther, func(e *Event) { e.Name, e.Target, e.Sender = "g/p", "", Person{Login: "ann"} }), LookPull},
	"gitlab/Note Hook--cancel": {pull(Commanded, func(e *Event) {
		e.Commit, e.Fork, e.Action, e.Sender = "", true, AskCancel, Person{ID: 5, Login: "ann"}
	}), Obey},
	"gitlab/Note Hook--unknown":           {pull(Ignored, noHead), Drop},
	"gitlab/Note Hook--edited":            {Event{Kind: Ignored, Repository: 1}, Drop},
	"gitlab/Note Hook--closed":            {Event{Kind: Ignored, Repository: 1}, Drop},
	"gitlab/Note Hook--system":            {Event{Kind: Ignored, Repository: 1}, Drop},
	"gitlab/Note Hook--issue":             {Event{Kind: Ignored, Repository: 1}, Drop},
	"gitlab/System Hook--project_rename":  {Event{Kind: RepositoryChanged, Repository: 1, Name: "g/new"}, Refresh},
	"gitlab/System Hook--project_destroy": {Event{Kind: RepositoryDeleted, Repository: 1, Name: "g/p"}, Remove},
	"gitlab/System Hook--group_rename":    {Event{Kind: NamesChanged}, RefreshAll},
	"gitlab/System Hook--user_create":     {Event{Kind: Ignored}, Drop},
	"gitlab/Pipeline Hook--ours":          {Event{Kind: Ignored}, Drop},
}
