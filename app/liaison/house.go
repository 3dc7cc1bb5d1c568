package liaison

import (
	"context"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Houses are the repositories that are served.
type Houses interface {
	// Open serves a repository, unless it is served already, under the name it now
	// has. Of one that was never served, nothing that is there is built.
	Open(ctx context.Context, r forge.Repository) (h House, err error)
	// Resume serves a repository that was served when the server ended, as it was
	// then: nothing is asked of its forge.
	Resume(ctx context.Context, r forge.Repository) error
	// At is a repository that is served.
	At(key forge.Key) (House, bool)
	// Close serves one no more. What was built stays.
	Close(ctx context.Context, key forge.Key) error
}

// A House is a repository that is served: our mirror of it, what was built of it,
// and a way to have more done.
type House interface {
	Mirror
	Records
	Works
}

// A Mirror is our copy of a repository.
type Mirror interface {
	// Refresh brings it up to date with branches, tags, and the heads of these pull
	// requests.
	Refresh(ctx context.Context, r forge.Repository, pulls []int64) error
	// Tidy is told which pull requests are open: what the mirror has of others goes
	// some day.
	Tidy(ctx context.Context, open []int64) error
	// Tip is the commit that a ref stands for in the mirror, peeled. ok is false if
	// there is no such ref.
	Tip(ref string) (c plan.Commit, ok bool, err error)
}

// Records are what was built of a repository.
type Records interface {
	// Find finds a build; ok is false if there is none of that id here.
	Find(ctx context.Context, id build.ID) (b *build.Build, ok bool, err error)
	// Builds lists the builds of a commit, the newest first.
	Builds(ctx context.Context, c plan.Commit) ([]*build.Build, error)
	// Unfinished lists the builds that are not over.
	Unfinished() []*build.Build
}

// Works have something done about a repository.
type Works interface {
	// Accept returns nil once what became of the trigger is durable. One whose id is
	// known is the same trigger.
	Accept(ctx context.Context, t plan.Trigger) error
	// Look has refs compared with what was planned for them.
	Look()
	// Rerun builds again, what failed or all of it, for somebody who may approve. The
	// id, the time and the actor of the new trigger are those of as; one id is one
	// build, however often it is asked for.
	Rerun(ctx context.Context, b *build.Build, failed bool, as plan.Trigger) error
	// Approve lets a held build start, if it is what was looked at. Errors:
	// build.ErrNotHeld, *build.MismatchError.
	Approve(ctx context.Context, b *build.Build, by string) error
	// Cancel ends a build. One that is over stays as it is.
	Cancel(ctx context.Context, b *build.Build, reason string) error
	// End cancels the unfinished builds of something that is gone.
	End(ctx context.Context, g Gone, reason string) error
}

// Gone tells the builds that nobody needs any more. A field that is zero tells none
// apart.
type Gone struct {
	Event  plan.Event
	Ref    string
	Commit plan.Commit
}
