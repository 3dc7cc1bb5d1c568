package builder

import (
	"context"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// expiring is a derived parameter whose values are of no use from some time on.
type expiring struct {
	parameter plan.Parameter
	names     []string // of its values
	at        time.Time
}

// remember keeps when the values of p expire, if they do. The derivation has been
// accepted, so that its time can be read.
func (t *attempt) remember(p plan.Parameter, d derivation) {
	at, err := time.Parse(time.RFC3339, d.Expires)
	if err != nil { // there is none
		return
	}
	e := expiring{parameter: p, at: at}
	for printed := range d.Exports {
		e.names = append(e.names, exported(p, printed))
	}
	t.expiring = append(t.expiring, e)
}

// renew derives again what has expired by now and what the step may see, and
// then logs in again: passwords may be among it.
func (t *attempt) renew(ctx context.Context, step *plan.Step) error {
	now := t.builder.Now()
	var old []expiring
	t.expiring = slices.DeleteFunc(t.expiring, func(e expiring) bool {
		due := !now.Before(e.at) && t.uses(step, e)
		if due {
			old = append(old, e)
		}
		return due
	})
	for _, e := range old {
		t.journal.note(t.masker, "derived parameter %s: its values expired at %s, deriving them again", e.parameter.Derived.Use, e.at.Format(time.RFC3339))
		if err := t.derive(ctx, e.parameter); err != nil {
			return because(ctx, err)
		}
	}
	if len(old) == 0 || len(t.given.Task.Registries) == 0 {
		return nil
	}
	return t.logIn(ctx)
}

// uses reports whether the step sees a value of e, by itself or by a login.
func (t *attempt) uses(step *plan.Step, e expiring) bool {
	sees := func(name string) bool { return t.values.visible(name, step.Secrets) }
	return slices.ContainsFunc(e.names, sees) || len(t.logins) > 0 && slices.ContainsFunc(e.names, t.loginMentions)
}

// loginMentions reports whether a registry's login is made of the value.
func (t *attempt) loginMentions(name string) bool {
	return slices.ContainsFunc(t.given.Task.Registries, func(r plan.Registry) bool {
		texts := []plan.Text{r.Address, r.Username, r.Password}
		for _, a := range r.Arguments {
			texts = append(texts, a.Value)
		}
		return slices.ContainsFunc(texts, func(text plan.Text) bool {
			mentioned, _ := text.Names() // expand reports the error
			return slices.Contains(mentioned, name)
		})
	})
}
