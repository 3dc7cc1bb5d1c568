package architect

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// intake turns a site's triggers into builds, one after the other, whenever it is
// woken or a pipeline's time has come.
func (a *Architect) intake(ctx context.Context, s *Site) {
	timer := time.NewTimer(lookAtClock)
	timer.Stop() // until it is known what there is to wait for
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		look, n := s.begin()
		err := a.inbox(ctx, s)
		if err == nil && look {
			err = a.look(ctx, s)
		}
		var wait time.Duration
		if err == nil {
			wait, err = a.keepTime(ctx, s)
		}
		if wait > 0 {
			timer.Reset(wait)
		}
		s.end(n)
		if err != nil && ctx.Err() == nil {
			a.Fail(fmt.Errorf("take triggers of %s: %w", s.Name, err))
			return
		}
		a.mu.Lock()
		a.notify()
		a.mu.Unlock()
	}
}

// inbox answers every trigger that waits there, or was offered.
func (a *Architect) inbox(ctx context.Context, s *Site) error {
	pending, err := s.Inbox.Pending(ctx)
	if err != nil {
		return err
	}
	var tips map[string]plan.Commit
	first := s.first && s.Told
	if first {
		if tips, err = s.Repo.Tips(ctx); err != nil {
			return err
		}
	}
	pending = append(pending, s.accept()...) // the site is not still before they are in hand
	if first {
		for _, t := range pending {
			delete(tips, t.Ref)
		}
		a.remember(s, tips)
	}
	for _, t := range pending {
		if !s.take(t.ID) {
			continue
		}
		if err := a.answer(ctx, s, t, build.Change{Settled: []string{t.ID}}); err != nil {
			return err
		}
	}
	return nil
}

// look compares the refs with the tips last dealt with and makes a trigger of
// each difference. The refs themselves are the durable record of it, so it needs
// no place in the inbox.
func (a *Architect) look(ctx context.Context, s *Site) error {
	tips, err := s.Repo.Tips(ctx)
	if err != nil {
		return err
	}
	if s.first {
		return a.firstLook(ctx, s, tips)
	}
	for ref, commit := range tips {
		if s.tips[ref] == commit {
			continue
		}
		if err := a.answer(ctx, s, a.found(s, ref, commit), build.Change{}); err != nil {
			return err
		}
	}
	gone := map[string]plan.Commit{}
	for ref := range s.tips {
		if _, there := tips[ref]; !there {
			gone[ref] = ""
			delete(s.tips, ref)
		}
	}
	if len(gone) > 0 {
		a.settle(s, build.Change{Tips: gone})
	}
	return nil
}

// firstLook remembers all tips of a repository that was never scanned and builds
// only HEAD: nobody wants a hundred builds of old branches.
func (a *Architect) firstLook(ctx context.Context, s *Site, tips map[string]plan.Commit) error {
	head, err := s.Repo.Head(ctx)
	if err != nil {
		return err
	}
	commit, ok := tips[head]
	delete(tips, head)
	a.remember(s, tips)
	if ok && s.tips[head] != commit {
		return a.answer(ctx, s, a.found(s, head, commit), build.Change{})
	}
	return nil
}

// remember ends the first scan of a repository: tips that nothing was done about
// yet count as dealt with.
func (a *Architect) remember(s *Site, tips map[string]plan.Commit) {
	s.first = false
	rest := map[string]plan.Commit{}
	for ref, commit := range tips {
		if s.tips[ref] == "" {
			s.tips[ref], rest[ref] = commit, commit
		}
	}
	a.settle(s, build.Change{Tips: rest})
}

// found is the trigger for a new tip that nobody told us of.
func (a *Architect) found(s *Site, ref string, commit plan.Commit) plan.Trigger {
	return plan.Trigger{
		ID:    "tip-" + string(commit) + "-" + strings.ReplaceAll(ref, "/", "-"),
		Event: plan.EventPush, Ref: ref, Commit: commit, Before: s.tips[ref], Received: a.Now(),
	}
}

// answer makes the builds that a trigger asks for, or says why there are none.
// change is what is to be recorded with it. An error means that the
// repository or its ledger cannot be read: what is wrong with the trigger itself
// becomes a build that says so.
func (a *Architect) answer(ctx context.Context, s *Site, t plan.Trigger, change build.Change) error {
	r, err := a.read(ctx, s, t)
	if err != nil {
		return fmt.Errorf("plan trigger %s: %w", t.ID, err)
	}
	t = r.trigger
	if movesTip(t) {
		change.Tips = map[string]plan.Commit{t.Ref: t.Commit}
		s.tips[t.Ref] = t.Commit
	}
	var ids []build.ID
	for _, k := range r.known {
		ids = append(ids, k.id)
	}
	branch := a.headed(ctx, s, t)
	a.outdate(s, r, branch)
	var by byline
	if len(r.drafts) > 0 {
		by = s.byline(ctx, t.Commit)
	}
	for i, d := range r.drafts {
		id, err := s.Ledger.Next(ctx)
		if err != nil {
			return fmt.Errorf("number a build: %w", err)
		}
		ids = append(ids, id)
		d.branch = branch
		mine := build.Change{}
		if i == len(r.drafts)-1 {
			mine = change // the trigger is answered when its last build is there
		}
		a.open(s, id, t, by, d, mine)
	}
	if len(r.drafts) == 0 {
		a.settle(s, change)
	}
	s.answer(t.ID, Answer{Builds: ids, Note: r.note})
	a.Logger.Info("trigger", "repo", s.Called(), "trigger", t.ID, "ref", t.Ref, "commit", string(t.Commit), "builds", len(r.drafts), "note", r.note)
	return nil
}

// movesTip tells a push from what builds a commit that was pushed before.
func movesTip(t plan.Trigger) bool {
	return t.Event == plan.EventPush && t.Parent == "" && t.Ref != "" && t.Name == ""
}

// settle records what needs no build.
func (a *Architect) settle(s *Site, c build.Change) {
	if len(c.Settled) == 0 && len(c.Tips) == 0 && c.Marks == nil {
		return
	}
	s.Ledger.Append(c, func(err error) {
		if err != nil {
			a.Fail(fmt.Errorf("record triggers of %s: %w", s.Name, err))
			return
		}
		s.settled(c.Settled)
		a.mu.Lock()
		a.notify()
		a.mu.Unlock()
	})
}

// open makes a build of a draft. c is what belongs in the same change.
func (a *Architect) open(s *Site, id build.ID, t plan.Trigger, by byline, d draft, c build.Change) {
	a.mu.Lock()
	defer a.commit()
	a.begin(s, id, t, by, d, c)
}

// begin is open with the lock held.
func (a *Architect) begin(s *Site, id build.ID, t plan.Trigger, by byline, d draft, c build.Change) *work {
	req := build.Request{
		ID: id, Repository: s.Called(), Kind: d.kind, Name: d.name, Plan: d.digest,
		Trigger: t, Config: d.config, Author: by.author, Subject: by.subject,
		Held: d.held,
	}
	if d.plan != nil {
		req.Stages = build.Outline(d.plan)
		if d.skip {
			build.SkipAll(req.Stages)
		}
		build.Keep(req.Stages, d.stands)
		req.Group = d.plan.Concurrency.Group
	}
	now := a.Now()
	b, moves := build.New(req, now)
	w := newWork(s, b, d.plan)
	w.told = &build.Build{}
	w.values, w.priority, w.branch = d.secrets, d.urgency, d.branch
	w.pending = c
	w.pending.Plan = d.plan
	a.works[id] = w
	a.touch(w)
	w.record(moves, nil)
	if d.refused != "" {
		if err := w.do(build.Move{Kind: build.Refuse, Reason: d.refused, At: now}, nil); err != nil {
			a.Logger.Error("refuse", "build", id.String(), "err", err)
		}
		return w
	}
	if d.approval != nil {
		if err := w.do(build.Move{Kind: build.Approve, Approval: d.approval, At: now}, nil); err != nil {
			a.Logger.Error("approve again", "build", id.String(), "err", err)
		}
	}
	a.enter(w)
	return w
}

// Submit makes a build of a plan that the caller has drawn, with the values of
// its secret parameters, which are kept in memory only. It returns once the build
// is recorded, or when ctx ends. The caller must Close the watch.
func (a *Architect) Submit(ctx context.Context, s *Site, p *plan.Plan, t plan.Trigger, secrets map[string]string) (*Watch, error) {
	digest, err := p.Digest()
	if err != nil {
		return nil, err
	}
	id, err := s.Ledger.Next(ctx)
	if err != nil {
		return nil, fmt.Errorf("number a build: %w", err)
	}
	by := s.byline(ctx, t.Commit)
	d := draft{kind: p.Kind, name: p.Name, plan: p, digest: digest, config: p.ConfigCommit, secrets: secrets}
	if d.stands, err = a.stand(ctx, s, p, t); err != nil {
		return nil, err
	}
	a.mu.Lock()
	if s.closed {
		a.mu.Unlock()
		return nil, ErrClosed
	}
	w := a.begin(s, id, t, by, d, build.Change{})
	v := a.watch(w) // from before it can be over
	a.commit()
	for b, _, changed := v.State(); b == nil; b, _, changed = v.State() {
		select {
		case <-changed:
		case <-ctx.Done():
			v.Close()
			return nil, context.Cause(ctx)
		}
	}
	return v, nil
}
