package liaison

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage/project"
)

// watch compares now, and then again and again.
func (l *Liaison) watch(ctx context.Context) {
	next := l.Now() // of everything
	for {
		if l.due(next) {
			l.compareAll(ctx)
			next = l.Now().Add(l.Every + time.Duration(l.Jitter()*float64(l.Every)/10))
		}
		l.settleDoubts(ctx)
		timer := time.NewTimer(l.soonest(next).Sub(l.Now()))
		select {
		case <-timer.C:
		case <-l.again:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// due reports whether everything is to be compared now.
func (l *Liaison) due(next time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	whole := l.whole
	l.whole = false
	return whole || !l.Now().Before(next)
}

// soonest is when something is to be compared.
func (l *Liaison) soonest(next time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.doubts {
		if at.Before(next) {
			next = at
		}
	}
	return next
}

// settleDoubts compares the repositories whose time has come.
func (l *Liaison) settleDoubts(ctx context.Context) {
	l.mu.Lock()
	var due []forge.Key
	for key, at := range l.doubts {
		if !at.After(l.Now()) {
			due = append(due, key)
			delete(l.doubts, key)
		}
	}
	l.mu.Unlock()
	for _, key := range due {
		known, err := l.Projects.List(ctx)
		if err == nil {
			err = l.compareKnown(ctx, known, func(p project.Project) bool { return p.Key == key.String() })
		}
		l.complain(ctx, err)
	}
}

func (l *Liaison) complain(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		l.Log.Warn("forges are not compared with what was planned; it is tried again", "err", err)
	}
}

// compareAll takes in deliveries that were missed, and then compares everything.
func (l *Liaison) compareAll(ctx context.Context) {
	for _, kind := range l.kinds() {
		l.complain(ctx, l.survey(ctx, kind))
	}
	if l.Missed != nil {
		l.complain(ctx, l.Missed(ctx))
		l.Wake()
	}
	known, err := l.Projects.List(ctx)
	if err == nil {
		err = l.compareKnown(ctx, known, func(project.Project) bool { return true })
	}
	l.complain(ctx, err)
	l.Compared(ctx)
}

// compareKnown compares those of the known repositories that are served and chosen.
func (l *Liaison) compareKnown(ctx context.Context, known []project.Project, chosen func(project.Project) bool) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(abreast)
	for _, k := range known {
		key, ok := keyOf(k.Key)
		h, served := l.Houses.At(key)
		f := l.forge(key.Kind)
		if !ok || !served || f == nil || k.State != project.Active || !chosen(k) {
			continue
		}
		r := recorded(key, k)
		group.Go(func() error {
			if err := l.compareSince(ctx, place{f, r, h}, k.Since); err != nil && ctx.Err() == nil {
				l.Log.Warn("a repository is not compared with what was planned; it is tried again", "repo", r.Name, "err", err)
			}
			return nil
		})
	}
	return group.Wait()
}

// compare builds what a repository has and nobody planned, and ends what nobody
// needs.
func (l *Liaison) compare(ctx context.Context, p place) error {
	return l.compareSince(ctx, p, time.Time{})
}

// compareSince leaves out pull requests in which nothing happened since a time:
// they were there before us.
func (l *Liaison) compareSince(ctx context.Context, p place, since time.Time) error {
	pulls, err := p.forge.Pulls(ctx, p.repo)
	if err != nil {
		return fmt.Errorf("list pull requests: %w", err)
	}
	var numbers, alive []int64
	open := map[string]bool{}
	var fresh []forge.Pull
	for _, pull := range pulls {
		open[p.repo.Kind.Ref(pull.Number)] = true
		alive = append(alive, pull.Number)
		isNew, err := l.unseen(ctx, p, pull, since)
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
	for _, pull := range fresh {
		if err := l.found(ctx, p, pull); err != nil {
			return err
		}
	}
	if err := l.closed(ctx, p, open); err != nil {
		return err
	}
	return p.Tidy(ctx, alive)
}

// unseen reports whether the head of a pull request was never dealt with.
func (l *Liaison) unseen(ctx context.Context, p place, pull forge.Pull, since time.Time) (bool, error) {
	l.mu.Lock()
	seen := l.seen[sight{p.repo.Key, pull.Number, pull.Head, pull.BaseRef}]
	l.mu.Unlock()
	if seen || pull.Modified.Before(since) {
		return false, nil
	}
	builds, err := p.Builds(ctx, pull.Head)
	if err != nil {
		return false, err
	}
	newest := slices.IndexFunc(builds, of(p.repo.Kind.Ref(pull.Number), pull))
	if newest < 0 || builds[newest].Canceled == reasonClosed {
		return true, nil // of the latter we have not heard that it is open again
	}
	l.saw(p.repo.Key, pull)
	return false, nil
}

// of matches builds of a pull request as it is.
func of(ref string, pull forge.Pull) func(*build.Build) bool {
	return func(b *build.Build) bool {
		return b.Trigger.Event == plan.EventPullRequest && b.Trigger.Ref == ref && b.Trigger.Target == pull.BaseRef
	}
}

// found builds a pull request that no delivery told of.
func (l *Liaison) found(ctx context.Context, p place, pull forge.Pull) error {
	key := fmt.Sprintf("%s %d %s %s", p.repo.Key, pull.Number, pull.Head, pull.BaseRef)
	j := job{delivery: hooks.Delivery{Key: key, Received: l.Now().UTC().Truncate(time.Millisecond)}}
	return l.offer(ctx, p, pull, forge.User{}, j)
}

// closed ends the builds of pull requests that are not open any more. Those that are
// not in the list may have been opened since: each is asked for.
func (l *Liaison) closed(ctx context.Context, p place, open map[string]bool) error {
	for _, b := range p.Unfinished() {
		number, ok := p.repo.Kind.PullOf(b.Trigger.Ref)
		if !ok || b.Trigger.Event != plan.EventPullRequest || open[b.Trigger.Ref] {
			continue
		}
		pull, err := p.forge.Pull(ctx, p.repo, number)
		if err == nil && pull.Open {
			continue
		}
		if err != nil && !errors.Is(err, forge.ErrGone) {
			return err
		}
		if err := l.shut(ctx, p, number); err != nil {
			return err
		}
	}
	return nil
}
