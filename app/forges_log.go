package app

import (
	"context"
	"errors"
	"time"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/storage/delivery"
)

// A deliveryLog is the inbox in the words of pages.
type deliveryLog struct {
	announced
	now func() time.Time
}

// wordsOf are the states of deliveries as people are told of them.
var wordsOf = map[delivery.State]page.DeliveryState{
	delivery.Waiting: page.DeliveryWaiting, delivery.Done: page.DeliveryDone,
	delivery.Refused: page.DeliveryRefused, delivery.Failed: page.DeliveryQuarantined,
}

// List implements web.DeliveryLog.
func (l deliveryLog) List(ctx context.Context, q web.DeliveryQuery, n int) ([]page.Delivery, error) {
	entries, err := l.inbox.List(ctx, n, func(e delivery.Entry) bool {
		return (q.Key == "" || e.Key == q.Key) && (q.State == "" || wordsOf[e.State] == q.State) && (q.Until.IsZero() || !e.Received.After(q.Until))
	})
	all := make([]page.Delivery, len(entries))
	for i, e := range entries {
		all[i] = page.Delivery{
			Key: e.Key, Forge: e.Forge, Event: e.Event, Received: e.Received, State: wordsOf[e.State], Action: e.Action,
			Note: e.Note, Tries: e.Tries, Size: int64(e.Size), Ended: e.Ended, Source: e.Source, Count: e.Count,
		}
	}
	return all, err
}

// Retry implements web.DeliveryLog. It is as if the forge sent the delivery again:
// the inbox takes in what it has put away, and knows all else.
func (l deliveryLog) Retry(ctx context.Context, key string) error {
	d, err := deliveries{l.inbox}.Read(ctx, key)
	if errors.Is(err, delivery.ErrNone) {
		return web.ErrNoDelivery
	}
	if err != nil {
		return err
	}
	d.Received = l.now()
	return l.Accept(ctx, d)
}
