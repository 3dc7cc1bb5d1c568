package page

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
)

// shopAsOf is the shop's build as it stood at an earlier time.
func shopAsOf(now time.Time) Build {
	v := shopOver()
	b := v.Build
	v.Now, v.Artifacts, b.Notices = now, nil, nil
	if b.Started.After(now) {
		b.Started = time.Time{}
	}
	if b.Finished.After(now) {
		b.Finished = time.Time{}
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			rewind(t, now)
			if t.State == build.Ready {
				v.Why = append(v.Why, api.Reason{Task: t.Key, State: string(t.State), Why: "all slots are busy"})
			}
			for _, kept := range shopView().Artifacts {
				if kept.Task == t.Key && t.State == build.Succeeded {
					v.Artifacts = append(v.Artifacts, kept)
				}
			}
		}
	}
	return v
}

// rewind makes a task what it was.
func rewind(t *build.Task, now time.Time) {
	was := build.Task{Key: t.Key, Name: t.Name, Rules: t.Rules, State: build.Waiting}
	switch first := begun(t); {
	case first.IsZero() || first.After(now):
	case t.Ready.After(now): // its first attempt runs
		was.State, was.Attempt, was.Builder, was.Ready, was.Started = build.Building, 1, t.Retried[0].Builder, first, first
	case !t.Finished.IsZero() && !t.Finished.After(now):
		return
	case t.Started.IsZero() || t.Started.After(now):
		was.State, was.Ready, was.Retried = build.Ready, t.Ready, t.Retried
	default:
		was = *t
		was.State, was.Reason, was.Finished, was.Findings, was.Tests, was.Artifacts = build.Building, "", time.Time{}, nil, build.Tests{}, nil
	}
	was.Steps = slices.Clone(t.Steps)
	for i := range was.Steps {
		s := &was.Steps[i]
		switch {
		case was.State != build.Building || s.Started.IsZero() || s.Started.After(now):
			s.State, s.Reason, s.Started, s.Finished = build.Waiting, "", time.Time{}, time.Time{}
		case s.Finished.IsZero() || s.Finished.After(now):
			s.State, s.Reason, s.Finished = build.Building, "", time.Time{}
		}
	}
	*t = was
}

// places are where all named parts of a page are, and how high the page's head is.
const places = `Object.fromEntries([...document.querySelectorAll("#live [id]"), document.querySelector(".top")].map(
	e => [e.id || "top", Math.round(e.getBoundingClientRect().top + scrollY)]))`

// While a build runs to its end nothing on its page moves: what somebody reads, or is
// about to click, stays where it is.
func TestNothingMoves(t *testing.T) {
	for _, width := range []int64{1200, phone} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			g := newGlass(t) // of its own: a page that was left may still listen, and take what this one is told
			f := exampleFrame
			g.do(chromedp.EmulateViewport(width, 800), chromedp.Navigate(g.putView("/build", f, shopAsOf(after(0.5)))), chromedp.WaitVisible("#stages"))
			before := see(g, chromedp.Evaluate[map[string]int](places))
			if len(before) < 15 {
				t.Fatalf("the page has %d places", len(before))
			}
			for _, at := range []float64{1, 1.3, 2.5, 20, 34.5, 36, 92, 100, 118, 118.2, 120, 130, 142, 160, 171} {
				v := shopAsOf(after(at))
				v.Trigger.Actor = fmt.Sprintf("t%03.0f", 10*at) // by which the page shows that it has heard
				g.tell(f, v)
				g.until(fmt.Sprintf(`document.getElementById("head").textContent.includes(%q)`, v.Trigger.Actor))
				now := see(g, chromedp.Evaluate[map[string]int](places))
				for id, y := range before {
					if now[id] != y {
						t.Errorf("after %gs #%s is at %d; it was at %d", at, id, now[id], y)
					}
				}
			}
			g.do(chromedp.WaitVisible("#outcome .failed"))
		})
	}
}
