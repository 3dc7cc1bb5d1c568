package forgetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// History is all that a check run ever was, oldest first; nil if there is none.
func (g *GitHub) History(check int64) []CheckRun {
	defer g.hold()()
	c := g.runs[check]
	if c == nil {
		return nil
	}
	return slices.Clone(c.history)
}

// Checks are the check runs of the App on a commit as they are now, in the order in which they
// were made. Of one name the last counts.
func (g *GitHub) Checks(sha string) []CheckRun {
	defer g.hold()()
	return g.checks(sha)
}

func (g *GitHub) checks(sha string) []CheckRun {
	var all []CheckRun
	for _, id := range slices.Sorted(maps.Keys(g.runs)) {
		if now := g.runs[id].now(); now.SHA == sha && !g.runs[id].others {
			all = append(all, now)
		}
	}
	return all
}

// AllChecks are all check runs of the App as they are now, in the order in which
// they were made.
func (g *GitHub) AllChecks() []CheckRun {
	defer g.hold()()
	var all []CheckRun
	for _, id := range slices.Sorted(maps.Keys(g.runs)) {
		if c := g.runs[id]; !c.others {
			all = append(all, c.now())
		}
	}
	return all
}

// WaitCheck waits until the newest check run of a name, on a commit, is as wanted.
// Beside an error it returns what the run is; the zero value is none.
func (g *GitHub) WaitCheck(ctx context.Context, sha, name string, want func(CheckRun) bool) (CheckRun, error) {
	var newest CheckRun
	err := g.wait(ctx, fmt.Sprintf("check %q of %s", name, sha), func() bool {
		for _, c := range g.checks(sha) {
			if c.Name == name {
				newest = c
			}
		}
		return newest.ID != 0 && want(newest)
	})
	return newest, err
}

// WaitStatus waits until the newest commit status of a context is as wanted. Beside
// an error it returns what the status is; the zero value is none.
func (r *Repo) WaitStatus(ctx context.Context, sha, name string, want func(CommitStatus) bool) (CommitStatus, error) {
	var newest CommitStatus
	err := r.g.wait(ctx, fmt.Sprintf("status %q of %s", name, sha), func() bool {
		for _, s := range r.statusList(sha) {
			if strings.EqualFold(s.Context, name) {
				newest = s
			}
		}
		return newest.State != "" && want(newest)
	})
	return newest, err
}

// WaitCall waits for a call of the API that was answered. The gate logs a call after
// the change that it makes, so that this is for calls that change nothing, too.
func (g *GitHub) WaitCall(ctx context.Context, match func(Call) bool) (Call, error) {
	return g.gate.waitCall(ctx, match)
}

// Concluded matches check runs that are completed with a conclusion.
func Concluded(conclusion string) func(CheckRun) bool {
	return func(c CheckRun) bool { return c.Status == "completed" && c.Conclusion == conclusion }
}
