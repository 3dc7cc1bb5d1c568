package app

import (
	"context"

	"github.com/velocity-ci/velocity/app/liaison"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage/delivery"
)

// deliveries is the inbox in the words of those who fill and empty it.
type deliveries struct{ *delivery.Inbox }

// Read implements liaison.Inbox.
func (d deliveries) Read(ctx context.Context, key string) (hooks.Delivery, error) {
	found, err := d.Inbox.Read(ctx, key)
	return hooks.Delivery(found), err
}

// Done implements liaison.Inbox.
func (d deliveries) Done(ctx context.Context, key string, a hooks.Action, note string) error {
	return d.Inbox.Done(ctx, key, string(a), note)
}

// announced is the inbox as receivers fill it: the liaison is told, and what came is
// counted.
type announced struct {
	inbox *delivery.Inbox
	to    *liaison.Liaison
	count func(forge string)
}

// Accept implements hooks.Inbox.
func (a announced) Accept(ctx context.Context, d hooks.Delivery) error {
	if err := a.inbox.AcceptAhead(ctx, delivery.Delivery(d), func() { a.to.Foresee(d) }); err != nil {
		a.to.Forget(d.Key)
		return err
	}
	a.count(d.Forge)
	a.to.Wake()
	return nil
}
