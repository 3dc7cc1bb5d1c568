package forgetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
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

// Checks are the check runs of a commit as they are now, in the order in which they
// were made. Of one name the last counts.
func (g *GitHub) Checks(sha string) []CheckRun {
	defer g.hold()()
	return g.checks(sha)
}

func (g *GitHub) checks(sha string) []CheckRun {
	var all []CheckRun
	for _, id := range slices.Sorted(maps.Keys(g.runs)) {
		if now := g.runs[id].now(); now.SHA == sha {
			all = append(all, now)
		}
	}
	return all
}

// AllChecks are all check runs as they are now, in the order in which they were made.
func (g *GitHub) AllChecks() []CheckRun {
	defer g.hold()()
	var all []CheckRun
	for _, id := range slices.Sorted(maps.Keys(g.runs)) {
		all = append(all, g.runs[id].now())
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

// WaitCall waits for a call of the API that was answered. The gate logs a call after
// the change that it makes, so that this is for calls that change nothing, too.
func (g *GitHub) WaitCall(ctx context.Context, match func(Call) bool) (Call, error) {
	return g.gate.waitCall(ctx, match)
}

// Concluded matches check runs that are completed with a conclusion.
func Concluded(conclusion string) func(CheckRun) bool {
	return func(c CheckRun) bool { return c.Status == "completed" && c.Conclusion == conclusion }
}
