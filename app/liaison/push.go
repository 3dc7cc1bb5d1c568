package liaison

import (
	"context"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
)

// pushed builds a branch or tag as it now is, whatever it was when the delivery was
// sent: several pushes that are worked off together make a build of the last.
func (l *Liaison) pushed(ctx context.Context, p place, j job) (note string, err error) {
	if err := p.Refresh(ctx, p.repo, nil); err != nil {
		return "", err
	}
	commit, ok, err := p.Tip(j.event.Ref)
	if err != nil {
		return "", err
	}
	if !ok {
		return fmt.Sprintf("%s is gone", j.event.Ref), nil
	}
	return "", p.Accept(ctx, l.trigger(j, plan.Trigger{
		Event: plan.EventPush, Ref: j.event.Ref, Commit: commit, Before: j.event.Before, Skip: j.event.Skip,
	}))
}

// deleted ends the builds of a ref, unless it is there again.
func (l *Liaison) deleted(ctx context.Context, p place, e hooks.Event) error {
	if err := p.Refresh(ctx, p.repo, nil); err != nil {
		return err
	}
	_, there, err := p.Tip(e.Ref)
	if err != nil || there {
		return err
	}
	p.Look() // so that the same tip counts as new when the ref comes back
	return p.End(ctx, plan.EventPush, e.Ref, "ref deleted")
}

// group builds the commit of a merge group.
func (l *Liaison) group(ctx context.Context, p place, j job) (note string, err error) {
	if err := p.Refresh(ctx, p.repo, nil); err != nil {
		return "", err
	}
	commit, ok, err := p.Tip(j.event.Ref)
	if err != nil {
		return "", err
	}
	if !ok || commit != j.event.Commit {
		return "the group is gone", nil // another takes its place
	}
	return "", p.Accept(ctx, l.trigger(j, plan.Trigger{
		Event: plan.EventMergeGroup, Ref: j.event.Ref, Commit: commit, Target: j.event.Target, Trust: plan.TrustWriter,
	}))
}

// pushComes is how long a push may take to be delivered after the forge asked for
// checks of its commit.
const pushComes = time.Minute

// doubt has a repository compared with what was planned: at once if refs are known
// to have changed, else a minute after a commit was heard of that nobody told of
// until then.
func (l *Liaison) doubt(ctx context.Context, p place, e hooks.Event) (note string, err error) {
	if e.Kind == hooks.RefsChanged {
		return "", l.compare(ctx, p)
	}
	known, err := p.Builds(ctx, e.Commit)
	if err != nil || len(known) > 0 {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, waits := l.doubts[p.repo.Key]; !waits {
		l.doubts[p.repo.Key] = l.Now().Add(pushComes)
		poke(l.again)
	}
	return "", nil
}
