package page

import (
	"net/url"
	"time"
)

// A DeliveryState is how far a delivery is, in a word.
type DeliveryState string

// The states of deliveries.
const (
	DeliveryWaiting     DeliveryState = "waiting"
	DeliveryDone        DeliveryState = "done"
	DeliveryRefused     DeliveryState = "refused"     // requests that were not taken
	DeliveryQuarantined DeliveryState = "quarantined" // it was taken, and could not be worked off
)

// DeliveryStates are all, in the order in which they are offered.
var DeliveryStates = []DeliveryState{DeliveryWaiting, DeliveryDone, DeliveryRefused, DeliveryQuarantined}

// A Delivery is one thing that a forge sent, or requests that were refused for one
// reason.
type Delivery struct {
	Key      string // "" of those that were refused
	Forge    string // "" if it is not known
	Event    string
	Received time.Time
	State    DeliveryState
	Action   string    // what was done
	Note     string    // more about that, or why not
	Tries    int       // how often it was begun
	Size     int64     // of its body, in bytes
	Ended    time.Time // zero while it waits
	Source   string    // of those that were refused: the address; "" for various
	Count    int       // of those that were refused: how many
}

// Retries reports whether it can be tried again.
func (d Delivery) Retries() bool { return d.State == DeliveryQuarantined && d.Key != "" }

// RetryPath is where that is asked for.
func (d Delivery) RetryPath() string { return "/deliveries/" + url.PathEscape(d.Key) + "/retry" }

// Mark is a sign for its state, so that colour is not the only one.
func (d Delivery) Mark() string {
	switch d.State {
	case DeliveryDone:
		return "✓"
	case DeliveryRefused, DeliveryQuarantined:
		return "✗"
	}
	return "○"
}

// Class is the class of states that are alike.
func (d Delivery) Class() string {
	switch d.State {
	case DeliveryDone:
		return "succeeded"
	case DeliveryRefused, DeliveryQuarantined:
		return "failed"
	}
	return "waiting"
}

// Deliveries is the log of what forges sent.
type Deliveries struct {
	None  bool          // no forge is configured
	State DeliveryState // of those that are listed; "" for all
	List  []Delivery
	Older string // query of the next page; "" if this is the last
	Said  string // what came of what was just asked for; "" for nothing
}

func (Deliveries) about() (string, string) { return "deliveries", "Deliveries" }

// States are those by which deliveries are selected.
func (Deliveries) States() []DeliveryState { return DeliveryStates }
