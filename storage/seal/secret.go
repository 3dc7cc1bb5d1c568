package seal

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
)

// redacted stands wherever a Secret is printed.
const redacted = "[secret]"

// A Secret is a value that cannot be printed by mistake: by fmt with any verb, as
// JSON or text, or in a line of a log. Only Reveal tells it.
//
// The value is behind a function: fmt asks no methods of what is a hidden part of
// another struct, or where a verb does not fit (%w where nothing is wrapped, %p), and
// follows pointers there.
type Secret struct{ value func() []byte }

// NewSecret takes a value, which it copies.
func NewSecret(value []byte) Secret {
	own := bytes.Clone(value)
	return Secret{value: func() []byte { return own }}
}

// Reveal is the value. It goes to where the secret is used and nowhere else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return string(s.value())
}

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter: no verb and no flag tells the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, for XML, YAML and keys of maps.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
