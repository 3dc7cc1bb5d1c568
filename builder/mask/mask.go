// Package mask takes secrets out of byte streams: every byte of a secret, and of
// the forms in which programs usually print one, is replaced before anything
// leaves the builder.
//
// It is a safety net and not a boundary: a step that reverses or compresses a
// secret prints it unmasked. What it does promise holds for any chunking of the
// stream: all bytes that belong to an occurrence of a variant (see variants) are
// gone, each unbroken run of them is replaced by one Mark, and no other byte is
// touched. A stream is held back only while its last bytes may be the beginning
// of a variant, and no timer ever gives such bytes away.
package mask

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Mark stands in the output where a secret was.
const Mark = "***"

// MinLength is the least number of bytes a secret must have, blanks around it
// not counted. Shorter ones would star out innocent text and hide little.
const MinLength = 8

// A Masker knows a set of secrets. It never changes and is safe for concurrent
// use. The zero value, like one made of no secrets, lets everything pass.
type Masker struct {
	secrets []secret
	auto    *automaton // nil without secrets
}

type secret struct{ name, value string }

// New returns a Masker of secrets, given as name and value. A value shorter than
// MinLength is refused with an error that tells its name.
func New(secrets map[string]string) (*Masker, error) {
	return new(Masker).With(secrets)
}

// With returns a Masker that knows extra besides what m knows. Where a name is
// in both, both values are masked. Writers made from m go on without extra.
func (m *Masker) With(extra map[string]string) (*Masker, error) {
	if len(extra) == 0 {
		return m, nil
	}
	all := slices.Clip(m.secrets)
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		all = append(all, secret{name, strings.TrimSpace(extra[name])})
	}
	var texts []variant
	for _, s := range all {
		if len(s.value) < MinLength {
			return nil, fmt.Errorf("secret %s is too short to be masked: it needs at least %d bytes", s.name, MinLength)
		}
		texts = append(texts, variants([]byte(s.value))...)
	}
	return &Masker{secrets: all, auto: newAutomaton(texts)}, nil
}

// String returns s with every secret replaced, for text that is at hand as a
// whole: errors, reports, names.
func (m *Masker) String(s string) string {
	if m.auto == nil {
		return s
	}
	text := []byte(s)
	scan := scanner{auto: m.auto}
	scan.write(text)
	if len(scan.spans) == 0 {
		return s
	}
	return string(scan.compose(nil, text, 0, scan.pos))
}

// Format keeps the secrets out of whatever prints a Masker by mistake.
func (m *Masker) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mask.Masker of %d secrets", len(m.secrets))
}
