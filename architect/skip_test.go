package architect_test

import (
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

const (
	second = plan.Commit("2222222222222222222222222222222222222222")
	third  = plan.Commit("3333333333333333333333333333333333333333")
)

// commits puts a commit behind another, as the tip of a ref.
func (g *rig) commits(ref string, commit, parent plan.Commit, f files) {
	g.repo.mu.Lock()
	defer g.repo.mu.Unlock()
	if g.repo.parents == nil {
		g.repo.parents = map[plan.Commit]plan.Commit{}
	}
	g.repo.commits[commit], g.repo.tips[ref], g.repo.parents[commit] = f, commit, parent
}

func withFile(f files, name, text string) files {
	out := files{name: text}
	for name, text := range f {
		if out[name] == "" {
			out[name] = text
		}
	}
	return out
}

// A pipeline whose paths did not change has a build that says so, and one whose
// paths did is built.
func TestPathsThatDidNotChange(t *testing.T) {
	config := twoStages()
	config[".velocityci/pipelines/default.yml"] = "on:\n  push: {paths: [src/**]}\n" + config[".velocityci/pipelines/default.yml"]
	g := newRig(t, config, succeed)
	g.run()
	g.here()
	g.site.Look()
	if b := g.final(); b.State() != build.Succeeded || b.Reason() != "" {
		t.Fatalf("the first build %s, %q: nothing was green before it", b.State(), b.Reason())
	}
	g.commits("refs/heads/main", second, head, withFile(config, "docs/x", "y"))
	g.site.Look()
	if b := g.final(); b.State() != build.Succeeded || b.Reason() != "skipped" || b.Counts().String() != "0/3, 3 skipped" {
		t.Errorf("without a change in src: %s, %q, %s; want succeeded, skipped", b.State(), b.Reason(), b.Counts())
	}
	g.commits("refs/heads/main", third, second, withFile(config, "src/x", "y"))
	g.site.Look()
	if b := g.final(); b.State() != build.Succeeded || b.Counts().String() != "3/3" {
		t.Errorf("with a change in src: %s, %q, %s; want all built", b.State(), b.Reason(), b.Counts())
	}
}

func TestMessageThatAsksForNoBuild(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.repo.message = "docs [skip ci]"
	g.run()
	g.here()
	push := plan.Trigger{ID: "p", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head}
	g.submit(push)
	answer, ok, err := g.a.Answered(t.Context(), g.site, "p")
	if want := "skipped: the message of 1111111 says so"; err != nil || !ok || len(answer.Builds) != 0 || answer.Note != want {
		t.Errorf("the push is answered %+v, %v, %v; want none, %q", answer, ok, err, want)
	}
	if g.tips()["refs/heads/main"] != head {
		t.Errorf("the tip is not remembered: it would be found again")
	}
	push.ID, push.Event, push.Name, push.Request = "m", plan.EventManual, "default", "m"
	g.submit(push)
	if b := g.final(); b.State() != build.Succeeded {
		t.Errorf("who asked for it gets %s, %q", b.State(), b.Reason())
	}
}

// The builds of an earlier head of a pull request end, those of others do not.
func TestNewerHeadOfAPullRequest(t *testing.T) {
	started := make(chan build.ID, 10)
	release := make(chan struct{})
	g := newRig(t, contained(twoStages()), func(a dispatch.Assignment, wait func() string) dispatch.Result {
		started <- a.Attempt.Build
		if a.Commit == head && a.Ref == "refs/pull/1/head" {
			return dispatch.Result{Verdict: dispatch.Failed, Reason: wait()}
		}
		<-release
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	g.commits("refs/pull/1/head", second, head, contained(twoStages()))
	head1 := plan.Trigger{Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/main", Commit: head, Trust: plan.TrustWriter}
	other := head1
	other.Ref = "refs/pull/2/head"
	g.submit(head1)
	old := <-started
	g.submit(other)
	newer := head1
	newer.Commit = second
	g.submit(newer)
	b := g.final()
	if b.ID != old || b.Canceled == "" {
		t.Errorf("build %s of %s ended as %s, %q; want that of the older head superseded", b.ID, b.Trigger.Ref, b.State(), b.Reason())
	}
	close(release)
	for range 2 {
		if b := g.final(); b.State() != build.Succeeded {
			t.Errorf("build %s of %s at %s: %s, %q", b.ID, b.Trigger.Ref, b.Trigger.Commit.Short(), b.State(), b.Reason())
		}
	}
}
