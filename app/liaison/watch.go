package liaison

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge"
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
		if due := l.doubted(); len(due) > 0 {
			l.complain(ctx, l.compareKnown(ctx, func(k forge.Key) bool { return due[k] }))
		}
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

// doubted are the repositories that are to be compared now, and by that in doubt no
// more.
func (l *Liaison) doubted() map[forge.Key]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := map[forge.Key]bool{}
	for key, at := range l.doubts {
		if !at.After(l.Now()) {
			due[key] = true
			delete(l.doubts, key)
		}
	}
	return due
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
	l.complain(ctx, l.compareKnown(ctx, func(forge.Key) bool { return true }))
	l.Compared(ctx)
}

// compareKnown compares the repositories that are built and chosen. One that fails is
// no reason not to compare others.
func (l *Liaison) compareKnown(ctx context.Context, chosen func(forge.Key) bool) error {
	known, err := l.Projects.List(ctx)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(abreast)
	for _, k := range known {
		key, ok := forge.ParseKey(k.Key)
		if !ok || k.State != project.Active || !chosen(key) {
			continue
		}
		group.Go(func() error {
			err := l.guard(func() error { return l.compareOne(ctx, key, k) }, "repo", k.Name)
			if err != nil && ctx.Err() == nil {
				l.Log.Warn("a repository is not compared with what was planned; it is tried again", "repo", k.Name, "err", err)
			}
			return nil
		})
	}
	return group.Wait()
}

// compareOne compares a repository when its turn has come, if it is served.
func (l *Liaison) compareOne(ctx context.Context, key forge.Key, k project.Project) error {
	done, err := l.turn(ctx, key)
	if err != nil {
		return err
	}
	defer done()
	h, served := l.Houses.At(key)
	f := l.forge(key.Kind)
	if !served || f == nil {
		return nil
	}
	return l.compare(ctx, place{f, recorded(key, k), k.Since, h})
}
