package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/dispatch/server"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	store "github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/running"
)

// BenchmarkTasks is how fast an architect and builders that do nothing get through
// tasks: assigned, signed, sealed and answered over NATS in this process, and each
// move of them durable in git before anyone is told. One operation is a build of
// 100 tasks that may all run at once. The builders have a slot each.
func BenchmarkTasks(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("%d builders", n), func(b *testing.B) {
			a, site := architectOf(b, n)
			p := wide(100)
			tasks := 0
			began := time.Now()
			for i := 0; b.Loop(); i++ {
				v, err := a.Submit(b.Context(), site, p, plan.Trigger{Event: plan.EventManual, Request: fmt.Sprint(i)}, nil)
				if err != nil {
					b.Fatal(err)
				}
				for _, over, changed := v.State(); !over; _, over, changed = v.State() {
					<-changed
				}
				done, _, _ := v.State()
				if done.State() != build.Succeeded {
					b.Fatalf("build %s: %s", done.State(), done.Reason())
				}
				v.Close()
				tasks += 100
			}
			b.ReportMetric(float64(tasks)/time.Since(began).Seconds(), "tasks/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// wide is a plan of one stage.
func wide(tasks int) *plan.Plan {
	p := &plan.Plan{Version: plan.Version, Kind: plan.OfPipeline, Name: "wide", Stages: []plan.Stage{{Name: "one"}}}
	for i := range tasks {
		t := plan.Task{Key: plan.Key(0, i), Name: fmt.Sprint("task ", i), Steps: []plan.Step{{Type: plan.StepRun, Run: &plan.Run{}}}}
		p.Stages[0].Tasks = append(p.Stages[0].Tasks, t)
	}
	return p
}

// architectOf runs an architect with one repository and n builders that do nothing.
func architectOf(b *testing.B, n int) (*architect.Architect, *architect.Site) {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "repo.git")
	git(b, b.TempDir(), "init", "-q", "--bare", dir)
	repo, err := store.Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	books := storage.Open(repo, time.Now)
	keys := map[string]*dispatch.Keys{}
	names := map[string]string{} // by public key
	for i := range n {
		k, err := dispatch.NewKeys()
		if err != nil {
			b.Fatal(err)
		}
		name := fmt.Sprint("b", i)
		keys[name], names[k.Public()] = k, name
	}
	nats, err := server.Start(server.Options{Builder: func(public string) (string, bool) { name, ok := names[public]; return name, ok }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nats.Stop)
	conn, err := nats.Architect()
	if err != nil {
		b.Fatal(err)
	}
	signer, err := dispatch.NewSigner()
	if err != nil {
		b.Fatal(err)
	}
	a := architect.New(nil, slog.New(slog.DiscardHandler), time.Now)
	hub, err := dispatch.Listen(conn, a, dispatch.Authority{Signer: signer, Curve: func(name string) (string, bool) { return keys[name].Curve(), true }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(hub.Close)
	a.Wire = hub
	ledger, err := books.Acquire(b.Context(), "bench", a.Folded)
	if err != nil {
		b.Fatal(err)
	}
	logs, err := running.New(filepath.Join(b.TempDir(), "running"))
	if err != nil {
		b.Fatal(err)
	}
	site := &architect.Site{Name: "repo", Ledger: ledger, Inbox: ledger, History: past{}, Repo: empty{}, Logs: logs}
	serveArchitect(b, a, site, ledger)
	for name, k := range keys {
		builderConn, err := dispatch.Dial(b.Context(), "", name, k, dispatch.DialOptions{InProcess: nats})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(builderConn.Close)
		idler := &idler{presence: dispatch.Presence{Boot: "x", Capacity: 1}}
		idler.link, err = dispatch.Join(builderConn, name, idler, dispatch.Trust{Architect: signer.Public(), Keys: k})
		if err != nil {
			b.Fatal(err)
		}
		beat(b, idler)
	}
	return a, site
}

// serveArchitect runs a until the benchmark ends, and then releases its ledger.
func serveArchitect(b *testing.B, a *architect.Architect, site *architect.Site, ledger *storage.Ledger) {
	b.Helper()
	if err := a.Open(b.Context(), site); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, ledger.Release(context.Background())); err != nil {
			b.Error(err)
		}
	})
}

// beat gives signs of life until the benchmark ends. The first was heard when it
// returns.
func beat(b *testing.B, i *idler) {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	if err := i.link.Here(ctx, i.presence); err != nil {
		b.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		ticker := time.NewTicker(dispatch.BeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				ask, cancel := context.WithTimeout(ctx, dispatch.BeatEvery)
				_ = i.link.Here(ask, i.presence) // the next one is heard
				cancel()
			case <-ctx.Done():
				return
			}
		}
	}()
	b.Cleanup(func() {
		stop()
		<-over
	})
}

// An idler is a builder that has done what it takes as soon as it takes it.
type idler struct {
	link     *dispatch.Link
	presence dispatch.Presence
}

func (i *idler) Take(a dispatch.Assignment) error {
	sum := sha256.Sum256(nil)
	r := dispatch.Result{
		Attempt: a.Attempt, Verdict: dispatch.Succeeded, Log: build.Log{SHA256: hex.EncodeToString(sum[:])},
		Steps: []build.Step{{State: build.Succeeded}, {State: build.Succeeded}},
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = i.link.End(ctx, r) // a verdict that is not taken shows as a build that does not succeed
	}()
	return nil
}

func (*idler) Stop(dispatch.Attempt, string) error { return nil }

// past is a history without unfinished builds, which is all that is asked of it.
type past struct{ architect.History }

func (past) Live(context.Context) ([]architect.Loaded, error)           { return nil, nil }
func (past) Tips(context.Context) (map[string]plan.Commit, bool, error) { return nil, true, nil }

// empty is a repository whose commits say nothing, which is all that is asked of it.
type empty struct{ architect.Repository }

func (empty) Facts(context.Context, plan.Commit, string) func(string) (string, error) {
	return func(string) (string, error) { return "", nil }
}
