package report

import (
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// A rank is how urgent a post is: when calls are scarce the higher ones get them.
type rank int

const (
	progress rank = iota // more of what is shown already
	create               // a check that is not there yet, or gets into its next state
	finish               // the outcome
)

// An entry is a check that the forge may not show as it is.
type entry struct {
	key  Key
	lane *lane

	subject  Subject // what is to be shown: the newest
	state    forge.State
	external string

	known  bool       // told was read
	told   forge.Told // what the forge was told last
	unkept bool       // and that is not in the memory

	busy   bool      // a worker has it
	wanted bool      // subject has changed since it was composed last
	since  time.Time // when it was first wanted, since it was last as it is to be
	after  time.Time // not to be tried before, for the errors so far
	tries  int       // that failed, one after the other
	gone   int       // of these, those that found nothing there
	posted time.Time // last; zero if not by this process

	parked    string    // why it is not tried; "" if it is
	parkedAt  time.Time // when it was
	forbidden bool      // it is tried again at the next sweep
	noticed   string    // the last reason that was given to Notice
}

// newer reports whether s is to be shown rather than old: a later build, or the
// same one later. Numbers of different stores say nothing; then it is the age that
// counts. A build that has not moved is to be shown again where it has gone to.
func newer(s, old Subject) bool {
	a, b := s.Build, old.Build
	switch {
	case a.ID == b.ID:
		return a.Seq > b.Seq || a.Seq == b.Seq && s.Repository != old.Repository
	case a.ID.Store == b.ID.Store:
		return a.ID.Number > b.ID.Number
	}
	return a.Created.After(b.Created)
}

// outdated reports whether a forge was told more than s says already: by a later
// build, or of this one after it was approved, ended, or began.
func outdated(s Subject, told forge.Told) bool {
	if told.External == "" {
		return false
	}
	id, _, err := ParseExternal(told.External)
	if err != nil || id.Store != s.Build.ID.Store {
		return false
	}
	if id != s.Build.ID {
		return id.Number > s.Build.ID.Number
	}
	if told.External != s.External() {
		return s.Build.AwaitsApproval() // it is approved by now
	}
	return told.State > s.state()
}

// settled reports whether there is nothing to be told of a subject, however it is
// composed: the forge has its outcome, or a task's check can wait until it runs,
// since no older one stands in its place.
func settled(s Subject, told forge.Told) bool {
	switch {
	case outdated(s, told):
		return true
	case told.External == s.External() && told.State == forge.Final:
		return told.Done
	}
	return s.Task != "" && s.state() == forge.Queued && told.External == ""
}

// rank is how urgent the entry is.
func (e *entry) rank() rank {
	switch {
	case e.state == forge.Final:
		return finish
	case !e.known, e.told.External != e.external, e.told.State < e.state, e.told.Digest == "":
		return create // an empty digest: what was sent may not have arrived
	}
	return progress
}

// due is when the entry may be posted, as far as it alone is concerned.
func (e *entry) due() time.Time {
	at := e.after
	if e.posted.IsZero() {
		return at
	}
	switch e.rank() {
	case create:
		if next := e.posted.Add(stepEvery); e.told.External == e.external && next.After(at) {
			return next
		}
	case progress:
		if next := e.posted.Add(progressEvery); next.After(at) {
			return next
		}
	}
	return at
}

// Pauses between two posts of one check that is not over. A build that is over
// within the first is never shown as running: that saves a call of three.
const (
	stepEvery     = 2 * time.Second
	progressEvery = 15 * time.Second
)

// show makes s what the check shows.
func (e *entry) show(s Subject) { e.subject, e.state, e.external = s, s.state(), s.External() }

// forget takes back what earlier failures mean for the next try.
func (e *entry) forget() {
	e.after, e.tries, e.gone = time.Time{}, 0, 0
	e.parked, e.forbidden = "", false
}
