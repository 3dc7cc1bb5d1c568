package architect

import (
	"context"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// existing maps pipelines to the builds that answer a trigger whose configuration
// is read at the commit from. One that asks for a build of its own is equal to
// itself: a death between the moves of two refs leaves it in the inbox beside its
// build. The unfinished ones come first: one that ends meanwhile is in the history
// by then, and would be missed the other way round. One that ended since its pull
// request was closed, say, is no answer when that is opened again.
func (a *Architect) existing(ctx context.Context, s *Site, t plan.Trigger, from plan.Commit) (map[string]build.ID, error) {
	// A push to a protected ref may have what no pull request has: it needs its own.
	shares := t.Event != plan.EventPush || !a.protected(ctx, s, t.Ref)
	equal := func(of plan.Trigger, config plan.Commit) bool {
		return same(of, config, t, from) || shares && alike(of, t)
	}
	have := map[string]build.ID{}
	a.mu.Lock()
	for id, w := range a.works {
		if w.site == s && !w.b.Void() && equal(w.b.Trigger, w.b.Config) {
			have[w.b.Name] = id
		}
	}
	a.mu.Unlock()
	finished, err := s.History.OfCommit(ctx, t.Commit)
	if err != nil {
		return nil, err
	}
	for _, k := range finished {
		if _, unfinished := have[k.Name]; !unfinished && !k.Void && equal(k.Trigger, k.Config) {
			have[k.Name] = k.ID
		}
	}
	return have, nil
}

// same tells a trigger that was answered before: by a build of a trigger, of, whose
// configuration was read at a commit. What a stranger sent is planned by a branch
// that moves on, so there the commit of that counts; the build of a trusted commit
// is planned by itself.
func same(of plan.Trigger, config plan.Commit, t plan.Trigger, from plan.Commit) bool {
	if of.Commit != t.Commit || of.Event != t.Event || of.Ref != t.Ref || of.Target != t.Target || of.Request != t.Request {
		return false
	}
	switch {
	case t.Request != "" || of.Trust == t.Trust && config == from:
		return true
	case t.Fork() != of.Fork():
		return false
	}
	return of.Trusted()
}

// alike tells a push from a pull request or a merge group that is made of the same
// branch of this repository, or the other way round: one build answers both. What a
// stranger sent is nobody else's.
func alike(of, t plan.Trigger) bool {
	branch := branchOf(t)
	return of.Commit == t.Commit && of.Request == "" && t.Request == "" && of.Trusted() && t.Trusted() &&
		branch != "" && branchOf(of) == branch && (of.Event == plan.EventPush) != (t.Event == plan.EventPush)
}

// branchOf is the branch of this repository that an event is about: the one that
// was pushed, that the queue made, or that a pull request is made of.
func branchOf(t plan.Trigger) string {
	switch t.Event {
	case plan.EventPush, plan.EventMergeGroup:
		if plan.Branch(t.Ref) != "" {
			return t.Ref
		}
	case plan.EventPullRequest:
		return t.Head
	}
	return ""
}
