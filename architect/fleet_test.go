package architect_test

import (
	"testing"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// An attempt's credential opens its own repository, and only as long as the
// attempt is under way.
func TestCredentials(t *testing.T) {
	given := make(chan string, 10)
	g := newRig(t, twoStages(), nil)
	g.a.Seal = []byte("seal")
	g.worker.script = func(a dispatch.Assignment, _ func() string) dispatch.Result {
		if !g.a.Admits("repo", a.Credential) || a.Credential == "" {
			t.Errorf("%s is not admitted while it is under way", a.Attempt)
		}
		for _, no := range []struct{ repository, credential string }{{"other", a.Credential}, {"repo", ""}, {"repo", a.Credential + "x"}} {
			if g.a.Admits(no.repository, no.credential) {
				t.Errorf("Admits(%q, %q) = true", no.repository, no.credential)
			}
		}
		given <- a.Credential
		return dispatch.Result{Verdict: dispatch.Succeeded}
	}
	g.run()
	g.here()
	g.site.Look()
	g.final()
	close(given)
	seen := map[string]bool{}
	for credential := range given {
		if g.a.Admits("repo", credential) || seen[credential] {
			t.Errorf("%q is admitted after the end, or twice the same", credential)
		}
		seen[credential] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d attempts were given a credential; want 3", len(seen))
	}
}

// A builder that is revoked loses what it has, and gets nothing more.
func TestRevokedBuilder(t *testing.T) {
	begun := make(chan dispatch.Attempt, 10)
	g := newRig(t, files{
		".velocityci/blueprints/a.yml":      "steps: [{type: run, command: x}]",
		".velocityci/pipelines/default.yml": "stages: [{name: s, blueprints: [a]}]",
	}, func(a dispatch.Assignment, wait func() string) dispatch.Result {
		begun <- a.Attempt
		return dispatch.Result{Reason: wait()}
	})
	g.run()
	g.here()
	g.site.Look()
	at := <-begun
	g.a.Place("b", architect.Standing{Revoked: true})
	if why, waits := g.a.Why(at.Build, at.Task); !waits || why != "no builder is connected" {
		t.Errorf("Why = %q, %v", why, waits)
	}
	if err := g.wire.Here(t.Context(), g.worker.presence()); err == nil {
		t.Error("it is heard again")
	}
	if why, _ := g.a.Why(at.Build, at.Task); why != "no builder is connected" {
		t.Errorf("after it spoke once more, Why = %q", why)
	}
	b, _ := g.build(at.Build)
	if task := b.Stages[0].Tasks[0]; task.State != build.Ready || len(task.Lost) != 1 || task.Lost[0].Reason != "builder revoked" {
		t.Errorf("the task is %s after %+v; want ready, lost once", task.State, task.Lost)
	}
}

// What waits is given to a builder as soon as that comes, or can do more.
func TestABuilderThatComesGetsWhatWaits(t *testing.T) {
	g := newRig(t, files{
		".velocityci/blueprints/a.yml":      "labels: {gpu: \"true\"}\nsteps: [{type: run, command: x}]",
		".velocityci/pipelines/default.yml": "stages: [{name: s, blueprints: [a]}]",
	}, succeed)
	g.a.Fit = true
	g.run()
	g.submit(plan.Trigger{ID: "one", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	answer, _, err := g.a.Answered(t.Context(), g.site, "one")
	if err != nil {
		t.Fatal(err)
	}
	waits := func(want string) {
		t.Helper()
		if why, _ := g.a.Why(answer.Builds[0], "s0t0"); why != want {
			t.Errorf("Why = %q; want %q", why, want)
		}
	}
	waits("no builder is connected")
	p := dispatch.Presence{Boot: "one", Capacity: 1, Executors: []string{"host"}}
	for _, next := range []struct {
		presence func()
		why      string
	}{
		{func() {}, "no builder has the label gpu=true; 1 is connected"},
		{func() { p.Labels = map[string]string{"gpu": "true"}; p.Draining = true }, "1 builder fits, and takes no work now"},
		{func() { p.Draining = false }, ""},
	} {
		next.presence()
		if err := g.wire.Here(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if next.why != "" {
			waits(next.why)
		}
	}
	if b := g.final(); b.State() != build.Succeeded {
		t.Errorf("build %s; want succeeded", b.State())
	}
}
