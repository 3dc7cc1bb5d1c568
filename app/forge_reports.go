package app

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/report"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

// newReporter shows the builds of a service's forge repositories.
func (s *service) newReporter(posters map[forge.Kind]forge.Poster) *report.Reporter {
	return &report.Reporter{
		Compose: &report.Composer{
			Tail: s.tail, Page: pageOf(s.options.configured),
			Granularity: func(p *plan.Plan) report.Granularity { return report.Granularity(p.Checks) },
		},
		Posters: posters, Memory: told{s}, Source: shown{s}, Logger: s.log, Now: s.c.now, Jitter: rand.Float64,
		Notice: func(r forge.Repository, id build.ID, reason string) {
			s.log.Warn("a build is not shown on its forge", "repo", r.Name, "build", id.String(), "reason", reason)
			s.unshown(r.Key, id, reason)
		},
	}
}

// Notices of reports on one build: how long writing one may take, and how many there
// are at most, however many ways a forge finds to refuse it.
const (
	noteWithin = 10 * time.Second
	maxUnshown = 3
)

// unshown leaves a notice in a build that its forge does not show.
func (s *service) unshown(key forge.Key, id build.ID, reason string) {
	h := s.houses.of(key)
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), noteWithin)
	defer cancel()
	const begin = "not shown on its forge: "
	b, _, err := h.ledger.Build(ctx, id)
	if err == nil {
		before := slices.DeleteFunc(slices.Clone(b.Notices), func(n string) bool { return !strings.HasPrefix(n, begin) })
		if len(before) >= maxUnshown {
			return
		}
		err = s.c.note(ctx, s.architect, h, id, begin+reason)
	}
	if err != nil {
		s.log.Warn("a notice was not recorded", "build", id.String(), "err", err)
	}
}

// report shows a build until it is over.
func (s *service) report(ctx context.Context, to *report.Reporter, v *architect.Watch) {
	defer v.Close()
	site, p := v.Of()
	h := s.houses.settled(site)
	if h == nil || h.key == (forge.Key{}) {
		return
	}
	for {
		b, over, changed := v.State()
		to.Changed(report.Shown{Repository: h.remote(), Build: b, Plan: p})
		if over || b.State().Final() || v.Left() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// errNotServed is for what comes too late for a repository.
var errNotServed = fmt.Errorf("%w: the repository is not served any more", forge.ErrForbidden)

// tail is part of the log of a task's last attempt: of the running copy as long as
// there is one, else of what was recorded.
func (s *service) tail(id build.ID, t *build.Task, from, to int64) ([]byte, error) {
	h := s.houses.ofStore(id.Store)
	if h == nil {
		return nil, errNotServed
	}
	at := dispatch.Attempt{Build: id, Task: t.Key, Number: t.Attempt}
	text, err := h.site.Logs.Read(at, from, to-from)
	if err == nil && int64(len(text)) == to-from {
		return text, nil
	}
	whole, _, err := h.ledger.Log(context.Background(), id, t.Key, t.Attempt)
	if err != nil {
		return nil, err
	}
	size := int64(len(whole))
	return whole[min(from, size):min(to, size)], nil
}

// shown are the builds that forges shall show.
type shown struct{ s *service }

// Builds implements report.Source.
func (s shown) Builds(ctx context.Context, since time.Time) iter.Seq2[report.Shown, error] {
	return func(yield func(report.Shown, error) bool) {
		for _, h := range s.s.houses.list() {
			if h.key == (forge.Key{}) {
				continue
			}
			for b, err := range finished(ctx, h.ledger, since) {
				one := report.Shown{Repository: h.remote(), Build: b}
				if err == nil && b.Plan != "" {
					one.Plan, err = h.ledger.Plan(ctx, b.ID)
				}
				if err != nil {
					err = fmt.Errorf("builds of %s: %w", h.site.Called(), err)
				}
				if !yield(one, err) {
					return
				}
			}
		}
	}
}

// pageOfBuilds is how many builds are read at once.
const pageOfBuilds = 50

// finished yields the builds that were submitted after a time, the unfinished ones
// too, the newest first.
func finished(ctx context.Context, l *storage.Ledger, since time.Time) iter.Seq2[*build.Build, error] {
	return func(yield func(*build.Build, error) bool) {
		q := storage.Query{Limit: pageOfBuilds, Since: since.Add(-longestBuild)}
		for {
			page, err := l.Builds(ctx, q)
			for _, b := range page {
				if b.State().Final() && b.Finished.Before(since) {
					continue
				}
				if !yield(b, nil) {
					return
				}
			}
			if err != nil && !yield(nil, err) || len(page) < pageOfBuilds {
				return
			}
			q.Before = page[len(page)-1].ID
		}
	}
}

// longestBuild is how long ago a build may have been submitted that is over only
// now: builds are held for two weeks at most, and then take their time.
const longestBuild = 21 * 24 * time.Hour
