package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Every stored form is a small struct of its own, so that a change of what the
// program thinks in does not change what is on disk. docs/format.md is the
// promise about them, field by field.

// recordVersion is the version of the stored forms that this program writes.
const recordVersion = 1

// ownHead begins the records that this program writes.
var ownHead = fmt.Appendf(nil, `{"version":%d,`, recordVersion)

// A VersionError means that a record was written by a newer program. It is left
// alone: what it says may matter.
type VersionError struct {
	Record  string // what it is, such as build.json
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has version %d, this program reads up to %d: use a newer velocity", e.Record, e.Version, recordVersion)
}

func checkVersion(record string, version int) error {
	switch {
	case version > recordVersion:
		return &VersionError{Record: record, Version: version}
	case version < 1:
		return fmt.Errorf("%s has no version", record)
	}
	return nil
}

// encode prints v as one line of JSON. Only types of this package come here, and
// they cannot fail.
func encode(record string, v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %s: %w", record, err)
	}
	return b.Bytes(), nil
}

// decode reads the JSON of a record whose version it checks first: the fields of
// a newer one may have other types. Of a record that begins as ours do there is
// nothing to check, which saves a list of many builds a third of its time.
func decode(record string, data []byte, v any) error {
	var head struct {
		Version int `json:"version"`
	}
	if !bytes.HasPrefix(data, ownHead) {
		if err := json.Unmarshal(data, &head); err != nil {
			return fmt.Errorf("decode %s: %w", record, err)
		}
		if err := checkVersion(record, head.Version); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s: %w", record, err)
	}
	return nil
}

// An instant is a time as it is stored: RFC 3339 in UTC with milliseconds.
type instant time.Time

const instantFormat = "2006-01-02T15:04:05.000Z"

func stored(t time.Time) instant { return instant(normal(t)) }

// normal is the time that is left of t once it was stored.
func normal(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (i instant) time() time.Time { return time.Time(i) }

// IsZero keeps times that have not come out of the JSON.
func (i instant) IsZero() bool { return time.Time(i).IsZero() }

// MarshalText writes the stored form.
func (i instant) MarshalText() ([]byte, error) {
	return time.Time(i).AppendFormat(nil, instantFormat), nil
}

// UnmarshalText accepts any RFC 3339 time.
func (i *instant) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return fmt.Errorf("time %q is not of the form %s", text, instantFormat)
	}
	if err := checkYear(t); err != nil {
		return err
	}
	*i = stored(t)
	return nil
}

// checkYear refuses times that cannot be printed again: a zone may carry the
// first and the last hours out of four digits.
func checkYear(t time.Time) error {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return fmt.Errorf("year %d is out of range", y)
	}
	return nil
}
