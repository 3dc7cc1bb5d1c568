package architect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Vault keeps the secrets of a site.
type Vault interface {
	// Has reports whether there is a secret of that name.
	Has(name string) (bool, error)
	// Give opens the secrets that a task needs. allow is called with what each is
	// bound to, and its error is returned; one that does not exist is a
	// *grant.WithheldError. That the attempt was given them is durable before Give
	// returns their values, by name.
	Give(ctx context.Context, names []string, to Receiver, allow func(grant.Binding) error) (map[string]string, error)
}

// A Receiver is an attempt that is given secrets.
type Receiver struct {
	Attempt dispatch.Attempt
	Builder string
	At      time.Time
}

// stored tells which parameters have a value in the site's vault. What cannot be
// read counts as there: the task that needs it says why it is not.
func (s *Site) stored(name string) bool {
	if s.Vault == nil {
		return false
	}
	has, err := s.Vault.Has(name)
	return has || err != nil
}

// protected reports whether a ref cannot be moved by everybody who can push: it is
// the default branch, or the site's configuration says so.
func (a *Architect) protected(ctx context.Context, s *Site, ref string) bool {
	if grant.Matches(s.Protected, ref) {
		return true
	}
	head, err := s.Repo.Head(ctx)
	if err != nil {
		a.Logger.Warn("default branch not found: nothing but what the configuration says is protected", "repo", s.Name, "err", err)
		return false
	}
	return head != "" && ref == head
}

// rights are what a task of a build may have. Without the lock: it asks the
// repository. Whose code it is was recorded with the build, so that it is the same
// whenever it is asked, and an approval changes nothing about it.
func (a *Architect) rights(ctx context.Context, w *work, task *plan.Task) grant.Decision {
	ask := askOf(w.b.Trigger)
	ask.Blueprint, ask.Exposures = task.Blueprint, task.Exposures()
	return a.grant(ctx, w.site, ask)
}

// Rights are what may be done for a build of a trigger as a whole: a secret that is
// bound to blueprints is none of it. It asks the site's repository.
func (a *Architect) Rights(ctx context.Context, s *Site, t plan.Trigger) grant.Decision {
	return a.grant(ctx, s, askOf(t))
}

func (a *Architect) grant(ctx context.Context, s *Site, ask grant.Ask) grant.Decision {
	ask.Protected = a.protected(ctx, s, ask.Ref)
	return grant.Grant(ask)
}

// askOf is the part of the question that a trigger answers.
func askOf(t plan.Trigger) grant.Ask {
	return grant.Ask{Event: t.Event, Fork: t.Fork(), Stranger: t.Stranger(), Ref: t.Ref}
}

// trusted reports whether a trigger's tasks go to builders for trusted code.
func trusted(t plan.Trigger) bool { return grant.Grant(askOf(t)).Trusted }

// endow gives an assignment the secrets and caches that its task may have. Its
// error is the reason for which the task fails. Without the lock.
func (a *Architect) endow(ctx context.Context, w *work, builder string, as *dispatch.Assignment) error {
	d := a.rights(ctx, w, &as.Task)
	as.Caches, as.CacheWrite = cachesOf(w.plan, d)
	if err := d.Executor(slices.Contains(executorsOf(&as.Task), hostExecutor)); err != nil {
		return &unendowedError{err}
	}
	names := missing(as)
	if len(names) == 0 || w.site.Vault == nil {
		return nil // the builder says what has no value
	}
	given, err := w.site.Vault.Give(ctx, names, Receiver{as.Attempt, builder, a.Now()}, d.Secret)
	if err != nil {
		return &unendowedError{err}
	}
	for name, value := range given {
		as.Values[name] = value
	}
	a.Logger.Info("secrets given", "repo", w.site.Called(), "build", as.Attempt.Build.String(), "task", as.Attempt.Task,
		"attempt", as.Attempt.Number, "builder", builder, "secrets", names)
	return nil
}

// missing are the secrets that an assignment's task needs and nobody gave.
func missing(as *dispatch.Assignment) []string {
	var names []string
	for _, p := range as.Task.Parameters {
		_, given := as.Values[p.Name]
		if p.Secret && p.Value == nil && p.Derived == nil && !given {
			names = append(names, p.Name)
		}
	}
	return names
}

// An unendowedError means that a task was not given what it needs.
type unendowedError struct{ err error }

func (e *unendowedError) Error() string {
	var withheld *grant.WithheldError
	if errors.As(e.err, &withheld) {
		return withheld.Error()
	}
	return fmt.Sprintf("secrets: %v", e.err)
}
