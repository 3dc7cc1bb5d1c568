// Package grant decides what a task may have: secrets, executors, builders,
// caches. One pure function answers, from what is known about who asked for the
// build and about the ref that it is for; what it does not allow is denied.
//
// It promises that danger never adds rights: a fork, a stranger, a ref that
// is not protected have at most what the same ask without them has.
package grant

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// An Ask is all that the decision depends on.
type Ask struct {
	Event     plan.Event
	Fork      bool            // the commit comes from somebody else's repository
	Stranger  bool            // whoever asked is not known to be allowed to write to the repository
	Ref       string          // full name; "" for a bare commit
	Protected bool            // not everybody who can push can move Ref
	Blueprint string          // the task's
	Exposures []plan.Exposure // likewise
}

// A Decision is what a task may have. The zero value is nothing.
type Decision struct {
	ask      Ask
	withheld string // why it is given no secret whatever; "" if their bindings decide

	Host       bool // steps may run on a builder's own machine
	Trusted    bool // on builders for trusted code; else only on those for code of strangers
	ReadCache  bool
	WriteCache bool
}

// Grant decides.
func Grant(ask Ask) Decision {
	d := Decision{ask: ask}
	switch {
	case !known(ask.Event):
		d.withheld = fmt.Sprintf("builds of the event %q have none", ask.Event)
		return d
	case ask.Fork:
		d.withheld = "fork"
		return d
	case ask.Stranger:
		d.withheld = "whoever asked is not known to be allowed to write here"
		return d
	}
	d.Host, d.Trusted, d.ReadCache = true, true, true
	switch ask.Event {
	case plan.EventPullRequest:
		d.ReadCache = false // its branch is nobody's yet
		d.withheld = "builds of pull requests have none"
	case plan.EventMergeGroup:
		d.ReadCache = false
		d.withheld = "builds of merge groups have none"
	case plan.EventLocal:
		d.WriteCache = true // its own, which no other event reads
	case plan.EventPush, plan.EventSchedule:
		d.WriteCache = ask.Protected
	}
	return d
}

// Events are those that a secret is for unless it is bound to others.
func Events() []plan.Event {
	return []plan.Event{plan.EventPush, plan.EventSchedule, plan.EventManual, plan.EventLocal}
}

func known(e plan.Event) bool { return slices.Contains(Events(), e) || e.Proposes() }

// A Binding is what one secret is for.
type Binding struct {
	Name       string
	Refs       []string // patterns of full names, or of branches; none: the protected refs
	Events     []string // none: Events()
	Blueprints []string // names; none: all
	AnyImage   bool     // images that see it need not be named by their digest
}

// Check finds what could never be given.
func (b Binding) Check() error {
	for _, e := range b.Events {
		if !slices.Contains(Events(), plan.Event(e)) {
			return fmt.Errorf("no secret is for the event %q: there are push, schedule, manual and local", e)
		}
	}
	if len(b.Refs) > 0 && !adds(b.Refs) {
		return errors.New("the patterns of refs only take away: name the refs that it is for, too")
	}
	return nil
}

// A WithheldError means that a task is not given what it needs.
type WithheldError struct{ What, Why string }

func (e *WithheldError) Error() string { return e.What + " not granted: " + e.Why }

// Executor returns nil if the task may run on a builder's own machine, as it wants
// to, else a *WithheldError.
func (d Decision) Executor(host bool) error {
	if !host || d.Host {
		return nil
	}
	return &WithheldError{What: "the host executor", Why: d.withheld}
}

// Secret returns nil if the task may have the secret, else a *WithheldError.
func (d Decision) Secret(b Binding) error {
	why := d.withheld
	ask := d.ask
	if why == "" && !d.Trusted { // the zero decision
		why = "nothing was decided"
	}
	switch {
	case why != "":
	case !b.hasEvent(ask.Event):
		why = fmt.Sprintf("it is for the events %s, and this is %s", strings.Join(b.Events, ", "), ask.Event)
	case len(b.Blueprints) > 0 && !slices.Contains(b.Blueprints, ask.Blueprint):
		why = fmt.Sprintf("it is for the blueprints %s, and this is %s", strings.Join(b.Blueprints, ", "), ask.Blueprint)
	case ask.Ref == "":
		why = "it is bound to refs, and this build is for a bare commit"
	case len(b.Refs) == 0 && !ask.Protected:
		why = fmt.Sprintf("it is for protected refs, and %s is none", ask.Ref)
	case len(b.Refs) > 0 && !Matches(b.Refs, ask.Ref):
		why = fmt.Sprintf("it is bound to %s, and this build is for %s", strings.Join(b.Refs, ", "), ask.Ref)
	default:
		why = b.exposed(ask)
	}
	if why == "" {
		return nil
	}
	return &WithheldError{What: "secret " + b.Name, Why: why}
}

// exposed is why the images that would see the secret stand in its way, or "". On
// somebody's own machine they do not.
func (b Binding) exposed(ask Ask) string {
	i := slices.IndexFunc(ask.Exposures, func(e plan.Exposure) bool { return e.Secret == b.Name })
	if i < 0 || b.AnyImage || ask.Event == plan.EventLocal {
		return ""
	}
	e := ask.Exposures[i]
	return fmt.Sprintf("the image %.160q of the step at %s would see it, and is not named by its digest: name it as NAME@sha256:… "+
		"(docker buildx imagetools inspect NAME tells it), or set the secret with --any-image", string(e.Image), e.At)
}

func (b Binding) hasEvent(e plan.Event) bool {
	if len(b.Events) == 0 {
		return slices.Contains(Events(), e)
	}
	return slices.Contains(b.Events, string(e))
}

// Matches reports whether patterns pick a ref by its full name. A pattern that does
// not begin with refs/ is one of branches. Unlike those of triggers, a list that
// only takes names away picks none: it must be said what is meant.
func Matches(patterns []string, ref string) bool {
	var full plan.Patterns
	for _, p := range patterns {
		name, not := strings.CutPrefix(p, "!")
		if !strings.HasPrefix(name, "refs/") {
			name = plan.BranchPrefix + name
		}
		if not {
			name = "!" + name
		}
		full = append(full, name)
	}
	return adds(patterns) && ref != "" && full.Selects(ref)
}

// adds reports whether some pattern adds a name.
func adds(patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return !strings.HasPrefix(p, "!") })
}
