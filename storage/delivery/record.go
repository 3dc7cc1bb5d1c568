package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A State is how far a delivery is.
type State string

// The states of deliveries.
const (
	Waiting State = "waiting"
	Done    State = "done"
	Failed  State = "failed"  // it is put away, and a repeat of it is taken in again
	Refused State = "refused" // requests that were not taken
)

// An Entry is a line in the log of deliveries.
type Entry struct {
	Key      string // "" for refusals
	Forge    string // "" if it is not known
	Event    string
	Received time.Time // to the millisecond
	Size     int       // of the body, in bytes
	State    State
	Action   string    // what was done
	Note     string    // more about that, or why it failed, was refused, or waits
	Tries    int       // how often it was begun, the first time when it came; with Waiting those that did not end
	Ended    time.Time // zero while it waits
	Source   string    // of refusals: where they came from; "" for various
	Count    int       // of refusals: how many
}

const (
	// recordVersion is the version of the records that this program writes.
	recordVersion = 1

	maxText   = 256      // bytes of a word
	maxNote   = 1 << 10  // bytes of a note
	maxRecord = 64 << 10 // bytes of one record: its texts, escaped
	maxLog    = 64 << 20 // bytes of the log of a slot
)

// A VersionError means that a record was written by a newer program. It is left
// alone: what it says may matter.
type VersionError struct{ Version int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the record of a delivery has version %d, this program reads up to %d: use a newer velocity", e.Version, recordVersion)
}

// A recordError is a record that nobody can read.
type recordError struct{ err error }

func (e *recordError) Error() string { return "its record cannot be read: " + e.err.Error() }
func (e *recordError) Unwrap() error { return e.err }

type record struct {
	Version  int       `json:"version"`
	Key      string    `json:"key,omitempty"`
	Forge    string    `json:"forge,omitempty"`
	Event    string    `json:"event,omitempty"`
	Received time.Time `json:"received"`
	Size     int       `json:"size,omitempty"`
	State    State     `json:"state"`
	Action   string    `json:"action,omitempty"`
	Note     string    `json:"note,omitempty"`
	Tries    int       `json:"tries,omitempty"`
	Ended    time.Time `json:"ended,omitzero"`
	Source   string    `json:"source,omitempty"`
	Count    int       `json:"count,omitempty"`
}

// encode prints a record as one line.
func encode(e Entry) ([]byte, error) {
	data, err := json.Marshal(record{
		Version: recordVersion, Key: e.Key, Forge: e.Forge, Event: clip(e.Event, maxText),
		Received: e.Received.UTC().Truncate(time.Millisecond), Size: e.Size, State: e.State,
		Action: clip(e.Action, maxText), Note: clip(e.Note, maxNote), Tries: e.Tries,
		Ended: e.Ended.UTC().Truncate(time.Millisecond), Source: clip(e.Source, maxText), Count: e.Count,
	})
	if err != nil {
		return nil, fmt.Errorf("encode delivery: %w", err)
	}
	return append(data, '\n'), nil
}

// clip makes text valid, and cuts what is too long: the senders of deliveries have
// a say in it.
func clip(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// decode reads a record. Fields it does not know are a newer program's of the same
// version, which may be left out. Errors: *recordError, *VersionError.
func decode(data []byte) (Entry, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Entry{}, &recordError{err}
	}
	if head.Version > recordVersion {
		return Entry{}, &VersionError{head.Version}
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return Entry{}, &recordError{err}
	}
	e := Entry{
		r.Key, r.Forge, r.Event, r.Received.UTC(), r.Size, r.State,
		r.Action, r.Note, r.Tries, r.Ended.UTC(), r.Source, r.Count,
	}
	if err := e.check(head.Version); err != nil {
		return Entry{}, &recordError{err}
	}
	return e, nil
}

func (e *Entry) check(version int) error {
	switch {
	case version < 1:
		return fmt.Errorf("it has no version")
	case e.Key != "" && !isKey(e.Key), e.Key == "" && e.State != Refused:
		return fmt.Errorf("%.120q is no key", e.Key)
	case e.State != Waiting && e.State != Done && e.State != Failed && e.State != Refused:
		return fmt.Errorf("%.40q is no state", e.State)
	case e.Size < 0 || e.Tries < 0 || e.Count < 0:
		return fmt.Errorf("it has a number below 0")
	}
	return nil
}

// decodeLog reads lines. What cannot be read is left out: it is history.
func decodeLog(data []byte) []Entry {
	var all []Entry
	for line := range bytes.Lines(data) {
		if e, err := decode(line); err == nil {
			all = append(all, e)
		}
	}
	return all
}
