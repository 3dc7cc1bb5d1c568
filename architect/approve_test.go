package architect_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// ask puts a trigger in and returns the builds that answer it.
func (g *rig) ask(t plan.Trigger) []build.ID {
	g.t.Helper()
	g.submit(t)
	answer, ok, err := g.a.Answered(g.t.Context(), g.site, t.ID)
	if !ok || err != nil {
		g.t.Fatalf("trigger %s: answered %v, %v", t.ID, ok, err)
	}
	return answer.Builds
}

// one is ask for a trigger with one build, as it is recorded first.
func (g *rig) one(t plan.Trigger) *build.Build {
	g.t.Helper()
	ids := g.ask(t)
	if len(ids) != 1 {
		g.t.Fatalf("trigger %s: builds %v; want one", t.ID, ids)
	}
	v, ok := g.a.Await(g.t.Context(), ids[0])
	if !ok {
		g.t.Fatalf("build %s is not there", ids[0])
	}
	defer v.Close()
	b, _, _ := v.State()
	return b
}

// approvalOf is ann's approval of what the build is of.
func approvalOf(b *build.Build) build.Approval {
	return build.Approval{Commit: b.Trigger.Commit, Digest: b.Plan, By: "ann"}
}

// forked is a rig whose main has steps in containers, with the head of somebody's
// pull request that would like to be built in another way, and a later one.
func forked(t *testing.T, play script) (*rig, plan.Trigger) {
	g := newRig(t, contained(twoStages()), play)
	evil := withFile(contained(twoStages()), ".velocityci/pipelines/default.yml", "stages: [{name: evil, blueprints: [a]}]\n")
	for _, c := range []plan.Commit{second, third} {
		g.commits("refs/heads/main", c, head, evil)
	}
	g.repo.tips["refs/heads/main"] = head
	g.a.Fit, g.worker.strange = true, true
	return g, plan.Trigger{
		ID: "pr", Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/main", Commit: second,
		Trust: plan.TrustFork,
	}
}

// A stranger's pull request is planned by the branch that it is for, and nothing
// of it starts before it is approved. Then it has what strangers have.
func TestForkWaitsForApproval(t *testing.T) {
	for _, trust := range []plan.Trust{plan.TrustFork, plan.TrustStranger, plan.TrustUnknown} {
		t.Run(string(trust), func(t *testing.T) {
			var mu sync.Mutex
			var given []dispatch.Assignment
			g, pr := forked(t, func(a dispatch.Assignment, _ func() string) dispatch.Result {
				mu.Lock()
				defer mu.Unlock()
				given = append(given, a)
				return dispatch.Result{Verdict: dispatch.Succeeded}
			})
			pr.Trust = trust
			g.run()
			g.here()
			b := g.one(pr)
			if !b.AwaitsApproval() || b.Config != head || b.Trigger.Commit != second || b.Counts().Tasks != 3 || b.Reason() != "held: approval" {
				t.Fatalf("build of %s by the configuration of %s, %s, %q; want held, by %s", b.Trigger.Commit, b.Config, b.Counts(), b.Reason(), head)
			}
			if err := g.a.WaitIdle(t.Context()); err != nil {
				t.Fatal(err)
			}
			for name, change := range map[string]func(*build.Approval){
				"commit": func(a *build.Approval) { a.Commit = third },
				"plan":   func(a *build.Approval) { a.Digest = strings.Repeat("0", 64) },
			} {
				other := approvalOf(b)
				change(&other)
				var mismatch *build.MismatchError
				if err := g.a.Approve(t.Context(), b.ID, other); !errors.As(err, &mismatch) || mismatch.Commit != second {
					t.Errorf("another %s approved: %v; want a *MismatchError", name, err)
				}
			}
			for range 2 {
				if err := g.a.Approve(t.Context(), b.ID, approvalOf(b)); err != nil && !errors.Is(err, build.ErrNotHeld) && !errors.Is(err, architect.ErrNoBuild) {
					t.Fatal(err)
				}
			}
			end := g.final()
			if end.State() != build.Succeeded || end.Counts().String() != "3/3" || end.Approval == nil || end.Approval.By != "ann" {
				t.Errorf("approved: %s, %s, by %+v", end.State(), end.Counts(), end.Approval)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, a := range given {
				if a.Commit != second || a.Caches != "" || a.CacheWrite || !a.Untrusted {
					t.Errorf("task %s of %s has the caches %q, %v, and is called untrusted: %v; want what strangers have",
						a.Attempt.Task, a.Commit, a.Caches, a.CacheWrite, a.Untrusted)
				}
			}
			_, moves := g.build(b.ID)
			if again, err := build.Replay(moves); err != nil || !cmp.Equal(again.Approval, end.Approval) {
				t.Errorf("replayed: %v, %v", again, err)
			}
		})
	}
}

// A builder for trusted code never gets a stranger's, approved or not, also where
// no builder is chosen by what it offers.
func TestApprovedForkStaysStrange(t *testing.T) {
	for _, fit := range []bool{true, false} {
		g, pr := forked(t, succeed)
		g.worker.strange, g.a.Fit = false, fit
		g.run()
		g.here()
		b := g.one(pr)
		if err := g.a.Approve(t.Context(), b.ID, approvalOf(b)); err != nil {
			t.Fatal(err)
		}
		if why, ok := g.a.Why(b.ID, "s0t0"); !ok || !strings.Contains(why, "no builder takes code of strangers") {
			t.Errorf("fit %v: Why = %q, %v", fit, why, ok)
		}
	}
}

// Who has an approval and then pushes has nothing: the new head waits, and the old
// one cannot be approved any more.
func TestApprovalOfAnOlderHead(t *testing.T) {
	g, pr := forked(t, succeed)
	g.run()
	g.here()
	older := g.one(pr)
	pr.ID, pr.Commit = "pr2", third
	newer := g.one(pr)
	if b := g.final(); b.ID != older.ID || b.Reason() != "superseded by "+newer.ID.String() {
		t.Errorf("build %s ended, %q; want the older", b.ID, b.Reason())
	}
	if err := g.a.Approve(t.Context(), older.ID, approvalOf(older)); !errors.Is(err, architect.ErrNoBuild) && !errors.Is(err, build.ErrNotHeld) {
		t.Errorf("the older head approved: %v", err)
	}
	var mismatch *build.MismatchError
	if err := g.a.Approve(t.Context(), newer.ID, approvalOf(older)); !errors.As(err, &mismatch) {
		t.Errorf("the approval of the older head for the newer: %v", err)
	}
}

// However an approval and a push race, no commit is built but the approved one.
func TestApprovalRacesWithPush(t *testing.T) {
	for range 20 {
		require.Bubble(t, func(t *testing.T) {
			var mu sync.Mutex
			built := map[plan.Commit]bool{}
			g, pr := forked(t, func(a dispatch.Assignment, _ func() string) dispatch.Result {
				mu.Lock()
				defer mu.Unlock()
				built[a.Commit] = true
				return dispatch.Result{Verdict: dispatch.Succeeded}
			})
			g.a.Now = time.Now
			g.run()
			g.here()
			older := g.one(pr)
			var race sync.WaitGroup
			race.Go(func() {
				err := g.a.Approve(t.Context(), older.ID, approvalOf(older))
				if err != nil && !errors.Is(err, architect.ErrNoBuild) && !errors.Is(err, build.ErrNotHeld) {
					t.Error(err)
				}
			})
			pr.ID, pr.Commit = "pr2", third
			newer := g.one(pr)
			race.Wait()
			g.final() // of the older, one way or the other
			if !newer.AwaitsApproval() {
				t.Errorf("the new head is %s, %q; want held", newer.State(), newer.Reason())
			}
			mu.Lock()
			defer mu.Unlock()
			if built[third] {
				t.Error("a commit was built that nobody approved")
			}
		})
	}
}

// What nobody approves ends, also when the process that held it is gone.
func TestNobodyApproves(t *testing.T) {
	const patience = 14 * 24 * time.Hour
	require.Bubble(t, func(t *testing.T) {
		g, pr := forked(t, succeed)
		var forward time.Duration
		now := func() time.Time { return time.Now().Add(forward) }
		g.a.Now = now
		ctx, stop := context.WithCancel(t.Context())
		if err := g.a.Open(ctx, g.site); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- g.a.Run(ctx) }()
		b := g.one(pr)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		forward = patience - 10*time.Second
		again := architect.New(g.wire, g.a.Logger, now)
		again.Closed, again.Fit = g.a.Closed, true
		g.a, g.wire.Ear = again, again
		g.tell(again.Folded)
		g.run()
		began := time.Now()
		v, ok := g.a.Await(t.Context(), b.ID)
		if !ok {
			t.Fatal("the build is forgotten")
		}
		if still, _, _ := v.State(); !still.AwaitsApproval() {
			t.Errorf("after a restart it is %s, %q", still.State(), still.Reason())
		}
		v.Close()
		end := g.final()
		if end.State() != build.Failed || end.Reason() != "not approved" || end.TaskReason(&end.Stages[0].Tasks[0]) != "never ran" {
			t.Errorf("it %s, %q", end.State(), end.Reason())
		}
		if took := time.Since(began); took < 9*time.Second || took > 12*time.Second {
			t.Errorf("it took %s; want what was left of %s", took, patience)
		}
	})
}
