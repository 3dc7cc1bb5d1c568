package blueprint

import (
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// A condition is a CEL expression. It is decided when the plan is drawn.
type condition struct {
	word
	locate    func(line, column int) Position
	predicate *predicate // nil until it has been checked
}

func (c *condition) read(d *decoder, n *yaml.Node) {
	c.word.read(d, n)
	src := d.src
	c.locate = func(line, column int) Position { return src.within(n, line, column) }
}

// within is the place in the file of a character of a scalar's value; its lines
// count from 1, its columns from 0. Quotes, escapes and folding may change a value:
// where its line cannot be found again, the scalar's own position has to serve.
func (s *source) within(n *yaml.Node, line, column int) Position {
	at := Position{File: s.name, Line: n.Line, Column: n.Column}
	lines := strings.Split(n.Value, "\n")
	if line < 1 || line > len(lines) || column > utf8.RuneCountInString(lines[line-1]) {
		return at
	}
	from := s.offset(n.Line, n.Column)
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		from = s.start(n.Line + line)
	} else if len(lines) > 1 {
		return at
	}
	end := s.start(s.position(from).Line + 1)
	i := strings.Index(string(s.text[from:end]), lines[line-1])
	if i < 0 {
		return at
	}
	at = s.position(from + i)
	at.Column += column
	return at
}

// when checks a condition in the checker's scope, and makes it ready to be decided.
func (k *checker) when(c *condition) {
	if !c.Set {
		return
	}
	if c.predicate == nil {
		c.predicate = k.predicates.of(c.Value)
	}
	for _, m := range c.predicate.mistakes {
		k.report.errorf(c.locate(m.line, m.column), "%s", m.message).Hint = m.hint
	}
	for _, use := range c.predicate.uses {
		k.conditionUse(c.locate(use.line, use.column), use.name)
	}
}

// conditionUse checks a parameter that a condition asks for: its value must be
// known when the plan is drawn.
func (k *checker) conditionUse(at Position, name string) {
	d, ok := k.scope.names[name]
	switch {
	case !ok && k.scope.open:
		k.report.errorf(at, "a condition may not use %q, which an executable may derive when the task is set up", name)
	case !ok:
		f := k.report.errorf(at, "there is no parameter %q", name)
		k.report.didYouMean(f, name, k.scope.basics())
	case d.class == secret:
		k.report.errorf(at, "a condition may not use the secret parameter %q", name).Hint =
			"plans are kept for everybody to read, and would tell what it is"
	case d.class == exported:
		k.report.errorf(at, "a condition may not use %q, which an executable derives when the task is set up", name)
	}
}
