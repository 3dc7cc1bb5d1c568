package plan

import (
	"fmt"
	"strings"
)

// A Text is a string that may refer to parameters as ${name}. It is expanded
// once: what a value holds is never looked at again.
//
// A run of dollar signs before a brace is read in pairs, each pair one dollar
// sign: $${name} is the six characters ${name}, and $$${name} a dollar sign and
// the value. Dollar signs anywhere else stand for themselves.
type Text string

// A Part is a piece of a text: literal bytes, or the name of a parameter.
type Part struct {
	Literal string
	Name    string // "" in a literal part
	Offset  int    // of the reference within the text
}

// A RefError means that a text has a reference that cannot be read. Offset
// counts bytes from the start of the text.
type RefError struct {
	Ref    string
	Offset int
	Why    string
}

func (e *RefError) Error() string { return fmt.Sprintf("%s: %s", e.Ref, e.Why) }

// Parts splits the text into literals and references.
func (t Text) Parts() ([]Part, error) {
	var parts []Part
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			parts = append(parts, Part{Literal: lit.String()})
			lit.Reset()
		}
	}
	s := string(t)
	for i := 0; i < len(s); {
		n := dollars(s[i:])
		if n == 0 || i+n == len(s) || s[i+n] != '{' {
			step := max(n, 1)
			lit.WriteString(s[i : i+step])
			i += step
			continue
		}
		lit.WriteString(strings.Repeat("$", n/2))
		i += n
		if n%2 == 0 {
			continue // the brace is literal
		}
		name, err := reference(s, i)
		if err != nil {
			return nil, err
		}
		flush()
		parts = append(parts, Part{Name: name, Offset: i - 1})
		i += len(name) + 2
	}
	flush()
	return parts, nil
}

// dollars counts the dollar signs that s starts with.
func dollars(s string) int { return len(s) - len(strings.TrimLeft(s, "$")) }

// reference reads the name within the braces that open at s[open].
func reference(s string, open int) (string, error) {
	name, _, closed := strings.Cut(s[open+1:], "}")
	if !closed {
		return "", &RefError{Ref: "$" + s[open:], Offset: open - 1, Why: "the closing brace is missing; write $${ for a literal ${"}
	}
	if !validName(name) {
		return "", &RefError{
			Ref: "${" + name + "}", Offset: open - 1,
			Why: "not the name of a parameter; write $${" + name + "} if the program shall see it as it stands",
		}
	}
	return name, nil
}

// validName accepts letters, digits, dots, dashes and underscores, with a letter
// or underscore first.
func validName(name string) bool {
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return name != ""
}

// ValidParameterName reports whether name can be written as ${name}.
func ValidParameterName(name string) bool { return validName(name) }

// Join is the reverse of Parts.
func Join(parts []Part) Text {
	var b strings.Builder
	for i, p := range parts {
		if p.Name != "" {
			b.WriteString("${" + p.Name + "}")
			continue
		}
		next := i+1 < len(parts) && parts[i+1].Name != ""
		b.WriteString(escape(p.Literal, next))
	}
	return Text(b.String())
}

// escape doubles the dollar signs before a brace, and those at the end when a
// reference follows.
func escape(s string, beforeRef bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := dollars(s[i:])
		if n == 0 {
			b.WriteByte(s[i])
			i++
			continue
		}
		i += n
		if i < len(s) && s[i] == '{' || i == len(s) && beforeRef {
			n *= 2
		}
		b.WriteString(strings.Repeat("$", n))
	}
	return b.String()
}

// Literal is the text that expands to s.
func Literal(s string) Text { return Join([]Part{{Literal: s}}) }

// Names lists the parameters that the text refers to, in order, repeats included.
func (t Text) Names() ([]string, error) {
	parts, err := t.Parts()
	var names []string
	for _, p := range parts {
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	return names, err
}

// Resolve replaces the references that lookup knows by their values and keeps
// the others.
func (t Text) Resolve(lookup func(name string) (string, bool)) (Text, error) {
	parts, err := t.Parts()
	if err != nil {
		return "", err
	}
	for i, p := range parts {
		if v, ok := lookup(p.Name); ok && p.Name != "" {
			parts[i] = Part{Literal: v}
		}
	}
	return Join(merge(parts)), nil
}

// merge puts neighbouring literals together: a dollar sign at the end of one and
// a brace at the start of the next must be escaped as a pair.
func merge(parts []Part) []Part {
	var out []Part
	for _, p := range parts {
		if last := len(out) - 1; p.Name == "" && last >= 0 && out[last].Name == "" {
			out[last].Literal += p.Literal
			continue
		}
		out = append(out, p)
	}
	return out
}

// Expand replaces every reference. One that lookup does not know is an error.
func (t Text) Expand(lookup func(name string) (string, bool)) (string, error) {
	parts, err := t.Parts()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Name == "" {
			b.WriteString(p.Literal)
			continue
		}
		v, ok := lookup(p.Name)
		if !ok {
			return "", &RefError{Ref: "${" + p.Name + "}", Offset: p.Offset, Why: "no parameter of this name has a value"}
		}
		b.WriteString(v)
	}
	return b.String(), nil
}
