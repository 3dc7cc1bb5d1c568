package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/velocity-ci/velocity/app/web/page"
)

// ErrNoDelivery means that there is no such delivery, or that it cannot be read any
// more.
var ErrNoDelivery = errors.New("no such delivery")

// A DeliveryLog tells what forges sent, and what was made of it.
type DeliveryLog interface {
	// List lists the newest of those that the query selects, at most n, the newest
	// first.
	List(ctx context.Context, q DeliveryQuery, n int) ([]page.Delivery, error)
	// Retry has one that was quarantined worked off once more. It changes nothing
	// about others. Errors: ErrNoDelivery.
	Retry(ctx context.Context, key string) error
}

// A DeliveryQuery selects deliveries. Zero fields select all.
type DeliveryQuery struct {
	Key   string
	State page.DeliveryState
	Until time.Time // came by then
}

const deliveriesPath = "/deliveries"

const (
	deliveriesAtOnce = 50
	// lastDelivery is how far behind the newest the list goes: all before a page are
	// read for it.
	lastDelivery = 5000
)

func (f *Front) deliveriesPage(w http.ResponseWriter, r *http.Request, _ *Server) {
	if f.Deliveries == nil {
		f.page(w, r, http.StatusOK, page.Deliveries{None: true})
		return
	}
	q, from, err := deliveryQuery(r.URL.Query())
	if err != nil {
		f.pageProblem(w, r, http.StatusBadRequest, err)
		return
	}
	v := page.Deliveries{State: q.State}
	all, err := f.Deliveries.List(r.Context(), q, from+deliveriesAtOnce+1)
	if err != nil {
		f.broken(w, r, err)
		return
	}
	v.List = all[min(from, len(all)):min(from+deliveriesAtOnce, len(all))]
	if next := from + deliveriesAtOnce; next < len(all) && next <= lastDelivery {
		if q.Until.IsZero() {
			q.Until = all[0].Received // what comes meanwhile does not move the others
		}
		v.Older = "?" + url.Values{
			"state": {string(q.State)}, "until": {strconv.FormatInt(q.Until.UnixMilli(), 10)}, "from": {strconv.Itoa(next)},
		}.Encode()
	}
	if v.Said, err = f.retried(r); err != nil {
		f.broken(w, r, err)
		return
	}
	f.page(w, r, http.StatusOK, v)
}

func deliveryQuery(v url.Values) (q DeliveryQuery, from int, err error) {
	q.State = page.DeliveryState(v.Get("state"))
	if q.State != "" && !slices.Contains(page.DeliveryStates, q.State) {
		return q, 0, fmt.Errorf("there is no state %q of deliveries", q.State)
	}
	if text := v.Get("from"); text != "" {
		from, err = strconv.Atoi(text)
		milli, wrong := strconv.ParseInt(v.Get("until"), 10, 64)
		if err != nil || wrong != nil || from < 0 || from > lastDelivery {
			return q, 0, errors.New("there is no such part of the list")
		}
		q.Until = time.UnixMilli(milli)
	}
	return q, from, nil
}

func (f *Front) retryPressed(w http.ResponseWriter, r *http.Request, _ *Server) {
	key, err := r.PathValue("key"), ErrNoDelivery
	if f.Deliveries != nil {
		err = f.Deliveries.Retry(r.Context(), key)
	}
	if errors.Is(err, ErrNoDelivery) {
		err = statusError{http.StatusNotFound, errors.New("what was sent is not kept any more: the forge can send it again, from its own list of deliveries")}
	}
	if err != nil {
		f.refusePressed(w, r, err)
		return
	}
	guarded(w)
	http.Redirect(w, r, deliveriesPath+"?"+url.Values{sayParam: {key}}.Encode(), http.StatusSeeOther)
}

// retried says how the delivery stands that was just tried again; "" if none was.
func (f *Front) retried(r *http.Request) (string, error) {
	key := r.URL.Query().Get(sayParam)
	if key == "" {
		return "", nil
	}
	found, err := f.Deliveries.List(r.Context(), DeliveryQuery{Key: key}, 1)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return fmt.Sprintf("The delivery %s %s.", key, became[found[0].State]), nil
}

// became is what happened since a delivery was to be tried again.
var became = map[page.DeliveryState]string{
	page.DeliveryWaiting: "waits to be tried again", page.DeliveryDone: "was worked off",
	page.DeliveryQuarantined: "is quarantined again",
}
