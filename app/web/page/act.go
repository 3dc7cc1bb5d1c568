package page

import (
	"net/url"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Fields of forms that whoever takes them reads.
const (
	FieldOnce   = "once"   // of a form whose second sending changes nothing
	FieldCommit = "commit" // of an approval: what was looked at
	FieldPlan   = "plan"   // of an approval: the digest of the plan that was looked at

	FieldParameter = "parameter." // before the name of a parameter that is given a value
)

// MayRerun reports whether there is something to build again here.
func (b Build) MayRerun() bool {
	return b.Once != "" && b.State().Final() && b.Trigger.Event != plan.EventLocal
}

// MayRerunFailed reports whether some of that need not be.
func (b Build) MayRerunFailed() bool {
	return b.MayRerun() && b.State() == build.Failed && b.Build.Plan != ""
}

// MayCancel reports whether there is something to end.
func (b Build) MayCancel() bool { return b.Once != "" && !b.State().Final() && b.Canceled == "" }

// StartPath is the address of the form that starts a build, below the server's.
const StartPath = "/start"

// StartOf is that of the form for one repository, by what it stays known by.
func StartOf(repository string) string {
	return StartPath + "?" + url.Values{api.ParamRepository: {repository}}.Encode()
}

// livePath is where the page of a build hears how it stands. What it hears has the
// forms of the page: a button that is pressed twice is of one page all the time.
func livePath(id build.ID, once string) string {
	path := BuildPath(id) + "/live"
	if once != "" {
		path += "?" + url.Values{FieldOnce: {once}}.Encode()
	}
	return path
}

// Asked tells of a request for a build that has become none, or none yet.
type Asked struct {
	Repository string
	Pending    bool   // it is not known yet what becomes of it
	Note       string // why there is no build
	Here       string // the address of this page
}

func (a Asked) about() (string, string) { return "asked", "Asked for a build of " + a.Repository }
