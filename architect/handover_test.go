package architect_test

import (
	"context"
	"errors"
	"testing"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A late ledger says that something is recorded only when it is let.
type late struct {
	architect.Ledger
	let chan struct{}
}

func (l late) Append(c build.Change, done func(error)) {
	l.Ledger.Append(c, func(err error) { <-l.let; done(err) })
}

// A trigger that its sender keeps is theirs until its build is recorded, and makes one
// build however often it is given.
func TestTake(t *testing.T) {
	g := newRig(t, oneTask, succeed)
	ledger := late{g.ledger, make(chan struct{})}
	g.site.Ledger = ledger
	g.run()
	g.here()
	push := plan.Trigger{ID: "t1", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head}
	taken := make(chan error, 2)
	for range 2 {
		go func() { taken <- g.a.Take(context.Background(), g.site, push) }()
	}
	answer, ok, err := g.a.Answered(t.Context(), g.site, push.ID) // by then it is drawn
	for err == nil && !ok {                                       // it was not offered yet
		answer, ok, err = g.a.Answered(t.Context(), g.site, push.ID)
	}
	if err != nil || len(answer.Builds) != 1 {
		t.Fatalf("Answered = %+v, %v, %v; want one build", answer, ok, err)
	}
	select {
	case err := <-taken:
		t.Fatalf("Take = %v before anything is recorded", err)
	default:
	}
	close(ledger.let)
	for range 2 {
		if err := <-taken; err != nil {
			t.Errorf("Take = %v", err)
		}
	}
	if b := g.final(); b.ID != answer.Builds[0] {
		t.Errorf("build %s ended; want %s", b.ID, answer.Builds[0])
	}
	if err := g.a.Take(t.Context(), g.site, push); err != nil {
		t.Errorf("Take of what is known = %v", err)
	}
	again := push
	again.ID = "t2" // another delivery of the same
	if err := g.a.Take(t.Context(), g.site, again); err != nil {
		t.Errorf("Take of an equal trigger = %v", err)
	}
	if known, err := g.ledger.OfCommit(t.Context(), head); len(known) != 1 || err != nil {
		t.Errorf("builds %+v, %v; want one", known, err)
	}
}

// Whoever gives a trigger to a site that is closed, or has no patience, keeps it.
func TestTakeOfNobody(t *testing.T) {
	g := newRig(t, oneTask, succeed)
	if err := g.a.Open(t.Context(), g.site); err != nil {
		t.Fatal(err)
	}
	push := plan.Trigger{ID: "t1", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.a.Take(ctx, g.site, push); !errors.Is(err, context.Canceled) {
		t.Errorf("Take with no patience = %v; want %v", err, context.Canceled)
	}
	taken := make(chan error, 1)
	go func() { taken <- g.a.Take(context.Background(), g.site, push) }()
	if err := g.a.Close(t.Context(), g.site); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; !errors.Is(err, architect.ErrClosed) {
		t.Errorf("Take by a site that is closed = %v; want %v", err, architect.ErrClosed)
	}
	if err := g.a.Take(t.Context(), g.site, push); !errors.Is(err, architect.ErrClosed) {
		t.Errorf("Take by a closed site = %v; want %v", err, architect.ErrClosed)
	}
}
