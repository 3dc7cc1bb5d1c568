package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// BenchmarkBuildBesidePlugins records the moves of a build of one task, each durable
// before the next, without a plugin and with one that is told of every event: what
// it adds is what a build may wait for because of plugins.
func BenchmarkBuildBesidePlugins(b *testing.B) {
	closing := make(chan struct{})
	healthy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-closing }))
	failing := httptest.NewServer(http.NotFoundHandler())
	b.Cleanup(func() {
		close(closing)
		for _, s := range []*httptest.Server{healthy, hanging, failing} {
			s.Close()
		}
	})
	for _, bb := range []struct{ name, url string }{{"none", ""}, {"healthy", healthy.URL}, {"hanging", hanging.URL}, {"failing", failing.URL}} {
		b.Run(bb.name, func(b *testing.B) { measureBeside(b, bb.url) })
	}
}

func measureBeside(b *testing.B, address string) {
	ctx, stop := context.WithCancel(b.Context())
	c := &cli{now: time.Now}
	conf := &serverConfig{}
	if address != "" {
		one := sitePlugin{Use: plan.PluginWebhook, Events: plan.PluginEvents()}
		one.Arguments.URL = address
		conf.Plugins.Run = sitePlugins{one}
	}
	s := &service{c: c, log: silent(), architect: architect.New(nil, silent(), c.clock)}
	p, err := s.newPlugins(conf)
	if err != nil {
		b.Fatal(err)
	}
	repo, err := git.MakeBare(ctx, b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	ledger, err := c.openStore(repo).Acquire(ctx, "bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	h := &served{ledger: ledger, site: &architect.Site{Name: "bench"}}
	to, err := p.move(ctx, h)
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); p.runner.Run(ctx) }()
	for b.Loop() {
		id, err := to.Next(ctx)
		if err != nil {
			b.Fatal(err)
		}
		buildBeside(b, to, id)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/changesBeside, "µs/change")
	stop()
	<-ended
	p.leave(h)
	if err := ledger.Release(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// changesBeside is how many changes buildBeside records.
const changesBeside = 5

func buildBeside(b *testing.B, to architect.Ledger, id build.ID) {
	done := make(chan error, 1)
	record := func(made *build.Build, moves []build.Move, err error) {
		if err != nil {
			b.Fatal(err)
		}
		to.Append(build.Change{Build: made.Clone(), Moves: moves}, func(err error) { done <- err })
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	at := time.Now().UTC()
	made, moves := build.New(build.Request{
		ID: id, Name: "b", Trigger: plan.Trigger{Event: plan.EventPush},
		Stages: []build.StagePlan{{Name: "s", Tasks: []build.TaskPlan{{Key: plan.Key(0, 0), Name: "t"}}}},
	}, at)
	record(made, moves, nil)
	record(made, made.Open(at), nil)
	for _, m := range []build.Move{
		{Kind: build.Assign, Task: "s0t0", Builder: "b", At: at},
		{Kind: build.Begin, Task: "s0t0", Attempt: 1, At: at}, {Kind: build.Succeed, Task: "s0t0", Attempt: 1, At: at},
	} {
		moves, err := made.Do(m)
		record(made, moves, err)
	}
}
