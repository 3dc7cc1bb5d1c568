package app

import (
	"context"
	"errors"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks/plugin"
	"github.com/velocity-ci/velocity/storage"
)

// An outbox is a ledger of which plugins hear: with the change that submits a build
// it is recorded what they are owed, and whatever is durable is theirs to be told.
// Recording waits for none of them.
type outbox struct {
	*storage.Ledger
	plugins *plugins
	house   *served
}

// Append implements architect.Ledger.
func (o outbox) Append(c build.Change, done func(error)) {
	if c.Build == nil || len(c.Moves) == 0 {
		o.Ledger.Append(c, done)
		return
	}
	runner, id := o.plugins.runner, c.Build.ID
	if c.Moves[0].Seq > 1 {
		o.Ledger.Append(c, func(err error) {
			if err == nil {
				runner.Recorded(id, c.Moves)
			}
			done(err)
		})
		return
	}
	all := o.plugins.of(o.house, c.Build, c.Plan)
	if len(all) == 0 {
		o.Ledger.Append(c, done)
		return
	}
	owed := storage.Owed{Build: id, Plugins: map[string]storage.Progress{}}
	for _, p := range all {
		owed.Plugins[p.ID] = storage.Progress{}
	}
	o.AppendOwing(c, owed, func(err error) {
		if err == nil {
			runner.Adopt(id, all, nil)
		}
		done(err)
	})
}

// endow gives a plugin of a repository the secrets that it names, as far as its build
// may have them; whose plugin it is, the plan's configuration says.
func (p *plugins) endow(ctx context.Context, h *served, id build.ID, t plan.Trigger, one plan.Plugin) (map[string]string, error) {
	var names []string
	for _, a := range one.Arguments {
		if a.Secret != "" {
			names = append(names, a.Secret)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	if p.houses.settled(h.site) != h { // before that its vault is not complete
		return nil, errNotServed
	}
	to := architect.Receiver{Attempt: dispatch.Attempt{Build: id}, Builder: "plugin " + one.Use, At: p.c.clock()}
	values, err := h.vault.Give(ctx, names, to, p.architect.Rights(ctx, h.site, t).Secret)
	var withheld *grant.WithheldError
	if errors.As(err, &withheld) {
		return nil, &plugin.RefusedError{Why: withheld.Error()}
	}
	return values, err
}
