package liaison

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
)

// compare builds what a repository has and nobody planned, and ends what nobody
// needs.
func (l *Liaison) compare(ctx context.Context, p place) error {
	pulls, err := p.forge.Pulls(ctx, p.repo)
	if err != nil {
		return fmt.Errorf("list pull requests: %w", err)
	}
	var alive, numbers []int64
	var fresh []forge.Pull
	for _, pull := range pulls {
		alive = append(alive, pull.Number)
		isNew, err := l.unseen(ctx, p, pull)
		if err != nil {
			return err
		}
		if isNew {
			numbers, fresh = append(numbers, pull.Number), append(fresh, pull)
		}
	}
	if err := p.Refresh(ctx, p.repo, numbers); err != nil {
		return err
	}
	p.Look()
	return errors.Join(l.found(ctx, p, fresh), l.ended(ctx, p, alive), p.Tidy(ctx, alive))
}

// unseen reports whether a pull request, as it is, was never dealt with. One in which
// nothing happened since the repository is built here was there before us.
func (l *Liaison) unseen(ctx context.Context, p place, pull forge.Pull) (bool, error) {
	l.mu.Lock()
	seen := l.seen[spot{p.repo.Key, pull.Number}] == sight{pull.Head, pull.BaseRef}
	l.mu.Unlock()
	if seen || pull.Modified.Before(p.since.Truncate(time.Second)) { // forges tell whole seconds
		return false, nil
	}
	builds, err := p.Builds(ctx, pull.Head)
	if err != nil {
		return false, err
	}
	for _, b := range builds {
		if b.Trigger.Event == plan.EventPullRequest && about(b, p.repo.Kind, pull) && !b.Void() {
			l.saw(p.repo.Key, pull)
			return false, nil
		}
	}
	return true, nil
}

// found builds the pull requests that no delivery told of, as far as it can. When the
// forge takes no more requests, the others are for the next time.
func (l *Liaison) found(ctx context.Context, p place, fresh []forge.Pull) error {
	var failed []error
	for _, pull := range fresh {
		j := job{delivery: hooks.Delivery{
			Forge: string(p.repo.Kind), Received: l.Now().UTC().Truncate(time.Millisecond),
			Key: fmt.Sprintf("found %s %s %s", p.repo.Key, pull.Head, pull.BaseRef),
		}}
		err := l.propose(ctx, p, pull, forge.User{}, j)
		failed = append(failed, err)
		var limit *forge.LimitError
		if errors.As(err, &limit) {
			break
		}
	}
	return errors.Join(failed...)
}

// ended ends the builds of pull requests that are not open any more, and of refs that
// are gone.
func (l *Liaison) ended(ctx context.Context, p place, alive []int64) error {
	dealt := map[string]bool{"": true} // refs; builds that were asked for may have none
	for _, number := range alive {
		dealt[p.repo.Kind.Ref(number)] = true
	}
	for _, b := range p.Unfinished() {
		if dealt[b.Trigger.Ref] {
			continue
		}
		dealt[b.Trigger.Ref] = true
		if err := l.outlived(ctx, p, b); err != nil {
			return err
		}
	}
	return nil
}

// outlived ends the builds of what a build is about, if that is gone. A pull request
// that was not in the list may have been opened since: it is asked for.
func (l *Liaison) outlived(ctx context.Context, p place, b *build.Build) error {
	if number, ok := p.repo.Kind.PullOf(b.Trigger.Ref); ok {
		pull, err := p.forge.Pull(ctx, p.repo, number)
		if err == nil && pull.Open || err != nil && !errors.Is(err, forge.ErrGone) {
			return err
		}
		return l.shut(ctx, p, number)
	}
	_, there, err := p.Tip(b.Trigger.Ref)
	if err != nil || there {
		return err
	}
	return errors.Join(
		p.End(ctx, Gone{Event: plan.EventPush, Ref: b.Trigger.Ref}, build.ReasonDeleted),
		p.End(ctx, Gone{Event: plan.EventMergeGroup, Ref: b.Trigger.Ref}, build.ReasonDestroyed),
	)
}
