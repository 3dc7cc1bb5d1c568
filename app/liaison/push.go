package liaison

import (
	"context"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
)

// pushed builds a branch or tag as it now is, whatever it was when the delivery was
// sent: several pushes that are worked off together make a build of the last. That
// nothing shall be built was said about one commit, and of a later one it says
// nothing.
func (l *Liaison) pushed(ctx context.Context, p place, j job) (note string, err error) {
	e := j.event
	commit, ok, err := l.tip(ctx, p, j)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return fmt.Sprintf("%s is gone", e.Ref), nil
	case e.Skip && e.Commit != "" && e.Commit != commit:
		p.Look() // its own delivery may never come
		return fmt.Sprintf("%s has moved on", e.Ref), nil
	}
	return "", p.Accept(ctx, l.trigger(j, e.Ref, plan.Trigger{
		Event: plan.EventPush, Ref: e.Ref, Commit: commit, Before: e.Before, Skip: e.Skip,
	}))
}

// tip is the commit that the ref of a delivery stands for on the forge, now or at the
// least after the delivery was sent.
func (l *Liaison) tip(ctx context.Context, p place, j job) (plan.Commit, bool, error) {
	fetched, err := l.foreseen(ctx, j)
	if !fetched && err == nil {
		err = p.Refresh(ctx, p.repo, nil)
	}
	if err != nil {
		return "", false, err
	}
	return p.Tip(j.event.Ref)
}

// deleted ends the builds of a ref, unless it is there again.
func (l *Liaison) deleted(ctx context.Context, p place, j job) (note string, err error) {
	ref := j.event.Ref
	_, there, err := l.tip(ctx, p, j)
	if err != nil {
		return "", err
	}
	if there {
		return fmt.Sprintf("%s is there again", ref), nil
	}
	p.Look() // so that the same tip counts as new when the ref comes back
	return "", p.End(ctx, Gone{Event: plan.EventPush, Ref: ref}, build.ReasonDeleted)
}

// group builds the commit of a merge group. Those who may write put into it what it
// has.
func (l *Liaison) group(ctx context.Context, p place, j job) (note string, err error) {
	e := j.event
	commit, ok, err := l.tip(ctx, p, j)
	if err != nil {
		return "", err
	}
	if !ok || commit != e.Commit {
		return "the group is gone", nil // another takes its place
	}
	return "", p.Accept(ctx, l.trigger(j, e.Ref, plan.Trigger{
		Event: plan.EventMergeGroup, Ref: e.Ref, Commit: commit, Target: e.Target, Trust: plan.TrustWriter,
	}))
}

// pushComes is how long a push may take to be delivered after the forge asked for
// checks of its commit.
const pushComes = time.Minute

// doubt has a repository compared with what was planned: at once if refs are known
// to have changed, else a minute after a commit was heard of that nobody told of
// until then.
func (l *Liaison) doubt(ctx context.Context, p place, e hooks.Event) error {
	if e.Kind == hooks.RefsChanged {
		return l.compare(ctx, p)
	}
	known, err := p.Builds(ctx, e.Commit)
	if err != nil || len(known) > 0 {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, waits := l.doubts[p.repo.Key]; !waits {
		l.doubts[p.repo.Key] = l.Now().Add(pushComes)
		poke(l.again)
	}
	return nil
}
