package seal

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a secret's value, in bytes. What is shorter cannot be masked in logs.
const (
	MinValue = 8
	MaxValue = 64 << 10
)

// Bounds of what a secret is bound to.
const (
	maxPatterns = 64
	maxPattern  = 256
)

// An Entry is all that is told of a secret: everything but its value.
type Entry struct {
	Name       string
	Repository string   // what that stays known by, also under another name; "" is for all of the site
	Called     string   // what people called the repository when it was set, for lists; may be ""
	Refs       []string // patterns; none leaves it to the protected refs
	Events     []string // none leaves it to the default events
	Blueprints []string // names; none is all
	AnyImage   bool     // images that see it need not be named by their digest
	Number     int      // of the value, from 1: setting it again counts up
	Set        time.Time
	By         string
	Used       Use // zero if it never was
}

// A Use is one attempt that was given a secret.
type Use struct {
	At      time.Time
	Attempt string // build, task and number
	Builder string
}

// A FieldError means that a secret was refused for what one of its fields says.
// It does not hold a value.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// validName is what a secret may be called, within maxName bytes.
var validName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)

const maxName = 128

// check accepts an entry that can be stored.
func (e Entry) check() error {
	if len(e.Name) > maxName || !validName.MatchString(e.Name) {
		return &FieldError{"name", fmt.Sprintf("%.80q is not a name: letters, digits, dots, dashes and underscores, a letter first", e.Name)}
	}
	for _, list := range []struct {
		field string
		texts []string
	}{{"refs", e.Refs}, {"events", e.Events}, {"blueprints", e.Blueprints}, {"repository", []string{e.Repository, e.Called}}} {
		if len(list.texts) > maxPatterns {
			return &FieldError{list.field, fmt.Sprintf("there are more than %d", maxPatterns)}
		}
		for _, text := range list.texts {
			if err := checkText(list.field, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkText(field, text string) error {
	switch {
	case text == "" && field != "repository":
		return &FieldError{field, "one is empty"}
	case len(text) > maxPattern:
		return &FieldError{field, fmt.Sprintf("one is longer than %d bytes", maxPattern)}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return &FieldError{field, fmt.Sprintf("%.80q is not printable text", text)}
	}
	return nil
}

// checkValue accepts what can be masked and given to a process.
func checkValue(value Secret) error {
	text := value.Reveal()
	switch {
	case len(strings.TrimSpace(text)) < MinValue:
		return &FieldError{"value", fmt.Sprintf("it needs at least %d bytes: a shorter one could not be masked in logs", MinValue)}
	case len(text) > MaxValue:
		return &FieldError{"value", fmt.Sprintf("it is longer than %d KiB", MaxValue>>10)}
	case strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text):
		return &FieldError{"value", "it is not UTF-8 text without NUL characters: encode it, in base64 for example"}
	}
	return nil
}

// recordVersion is the version of the records that this program writes.
const recordVersion = 1

// A record is an entry as it is stored, with its sealed value.
type record struct {
	Version    int       `json:"version"`
	Name       string    `json:"name"`
	Repository string    `json:"repository,omitempty"`
	Called     string    `json:"called,omitempty"`
	Refs       []string  `json:"refs,omitempty"`
	Events     []string  `json:"events,omitempty"`
	Blueprints []string  `json:"blueprints,omitempty"`
	AnyImage   bool      `json:"anyImage,omitempty"`
	Number     int       `json:"number"`
	Set        time.Time `json:"set"`
	By         string    `json:"by,omitempty"`
	Sealed     []byte    `json:"sealed,omitempty"`
}

func recordOf(e Entry) record {
	return record{
		Version: recordVersion, Name: e.Name, Repository: e.Repository, Called: e.Called, Refs: e.Refs, Events: e.Events,
		Blueprints: e.Blueprints, AnyImage: e.AnyImage, Number: e.Number, Set: e.Set, By: e.By,
	}
}

func (r record) entry() Entry {
	return Entry{
		Name: r.Name, Repository: r.Repository, Called: r.Called, Refs: r.Refs, Events: r.Events, Blueprints: r.Blueprints,
		AnyImage: r.AnyImage, Number: r.Number, Set: r.Set, By: r.By,
	}
}

// under is what a value is sealed under: the store, and all of the record. Moved
// to another name, repository or store, or bound to more than it was, it does not
// open.
func (r record) under(store string) ([]byte, error) {
	r.Sealed = nil
	return json.Marshal(struct {
		Purpose, Store string
		Record         record
	}{"velocity secret", store, r})
}

// use is the last use of a secret as it is stored.
type use struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Attempt string    `json:"attempt"`
	Builder string    `json:"builder,omitempty"`
}

func encode(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return append(data, '\n'), nil
}

// decodeRecord checks the record, too: a repository can be written by others.
func decodeRecord(data []byte) (record, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("decode a secret's record: %w", err)
	}
	if r.Version != recordVersion {
		return r, fmt.Errorf("a secret's record has version %d, this program reads %d: use a newer velocity", r.Version, recordVersion)
	}
	return r, r.entry().check()
}

// byName sorts the site's secrets before those of repositories.
func byName(a, b Entry) int {
	return slices.Compare([]string{a.Repository, a.Name}, []string{b.Repository, b.Name})
}
