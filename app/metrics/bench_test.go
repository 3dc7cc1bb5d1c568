package metrics_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/metrics"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// busy is the past of a site with many builds under way.
type busy struct {
	architect.History
	builds int
}

func (busy) Tips(context.Context) (map[string]plan.Commit, bool, error) { return nil, true, nil }
func (busy) Marks(context.Context) ([]build.Mark, error)                { return nil, nil }

// Live are builds of ten tasks, of which one is being built and nine wait for a builder.
func (h busy) Live(context.Context) ([]architect.Loaded, error) {
	var all []architect.Loaded
	for n := range h.builds {
		s := build.Stage{Name: "one"}
		for i := range 10 {
			t := build.Task{Key: fmt.Sprintf("s0t%d", i), Name: "task", State: build.Ready, Ready: time.Unix(0, 0)}
			if i == 0 {
				t.State, t.Builder, t.Attempt = build.Building, "linux-1", 1
			}
			s.Tasks = append(s.Tasks, t)
		}
		b := &build.Build{Request: build.Request{ID: build.ID{Store: "abc123", Number: int64(n + 1)}, Name: "default"}, Started: time.Unix(0, 0), Stages: []build.Stage{s}}
		all = append(all, architect.Loaded{Build: b})
	}
	return all, nil
}

// headless is a repository without a default branch.
type headless struct{ architect.Repository }

func (headless) Head(context.Context) (string, error) { return "", architect.ErrGone }

// loaded is an architect with so many builds under way.
func loaded(t testing.TB, builds int) *architect.Architect {
	t.Helper()
	a := architect.New(nil, slog.New(slog.DiscardHandler), func() time.Time { return time.Unix(60, 0) })
	if err := a.Open(t.Context(), &architect.Site{Name: "shop", History: busy{builds: builds}, Repo: headless{}}); err != nil {
		t.Fatal(err)
	}
	return a
}

// What is counted of an architect is what it was opened with.
func TestLoad(t *testing.T) {
	want := architect.Load{Builds: 3, Ready: 27, OldestWait: time.Minute, Running: 3}
	if got := loaded(t, 3).Load(); got != want {
		t.Errorf("load %+v; want %+v", got, want)
	}
}

// A scrape beside builds under way; none is the cost of the format.
func BenchmarkScrape(b *testing.B) {
	for _, builds := range []int{0, 1000} {
		b.Run(fmt.Sprint(builds, " builds"), func(b *testing.B) {
			from := sources()
			from.Load = loaded(b, builds).Load
			h := metrics.New(from).Handler()
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), "GET", "/metrics", nil))
			}
		})
	}
}

// How long the architect is held up by a scrape.
func BenchmarkLoad(b *testing.B) {
	a := loaded(b, 1000)
	for b.Loop() {
		a.Load()
	}
}
