package blueprint

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// What a file may hold. Aliases count as often as they are used, so that a few
// lines cannot unfold into gigabytes.
const (
	maxNodes = 10_000
	maxDepth = 64
)

// A census counts a document before anything follows its aliases, and finds what
// is wrong with it as YAML whatever its keys may mean.
type census struct {
	src    *source
	report *report
	seen   map[*yaml.Node]extent // of anchored nodes
	open   map[*yaml.Node]bool   // anchored nodes that are being counted
	fatal  bool
}

// An extent is how much a node unfolds to.
type extent struct{ nodes, depth int }

// countable reports whether all documents of a file together are small enough to
// be read.
func countable(src *source, r *report, docs []*yaml.Node) bool {
	c := &census{src: src, report: r, seen: map[*yaml.Node]extent{}, open: map[*yaml.Node]bool{}}
	total := 0
	for _, doc := range docs {
		e := c.count(doc)
		if e.depth > maxDepth {
			c.fail(doc, "nested more than %d levels deep", maxDepth)
		}
		if total += e.nodes; total > maxNodes {
			c.fail(doc, "more than %d values in one file, aliases counted as often as they are used", maxNodes)
			return false
		}
	}
	return !c.fatal
}

func (c *census) fail(n *yaml.Node, format string, args ...any) {
	c.fatal = true
	c.report.errorf(c.at(n), format, args...)
}

func (c *census) at(n *yaml.Node) Position {
	return Position{File: c.src.name, Line: n.Line, Column: n.Column}
}

// count walks a node. Its own recursion is bounded by the parser's, and an alias
// points to what was counted before or to a node it stands in.
func (c *census) count(n *yaml.Node) extent {
	if n.Kind == yaml.AliasNode {
		return c.alias(n)
	}
	c.check(n)
	if n.Anchor != "" {
		c.open[n] = true
		defer delete(c.open, n)
	}
	e := extent{nodes: 1, depth: 0}
	for _, child := range n.Content {
		inner := c.count(child)
		e.nodes = min(e.nodes+inner.nodes, maxNodes+1)
		e.depth = max(e.depth, inner.depth)
	}
	e.depth = min(e.depth+1, maxDepth+1)
	if n.Anchor != "" {
		c.seen[n] = e
	}
	return e
}

func (c *census) alias(n *yaml.Node) extent {
	if c.open[n.Alias] {
		c.fail(n, "alias *%s stands within what it names", n.Value)
		return extent{nodes: 1, depth: 1}
	}
	return c.seen[n.Alias]
}

func (c *census) check(n *yaml.Node) {
	switch n.Kind {
	case yaml.ScalarNode:
		if strings.IndexByte(n.Value, 0) >= 0 {
			c.report.errorf(c.at(n), "the text holds a NUL character")
		}
	case yaml.MappingNode:
		c.keys(n)
	}
	if n.Style&yaml.TaggedStyle != 0 && !plainTag(n.Tag) {
		c.fail(n, "tag %s is not known here", n.Tag)
	}
}

func plainTag(tag string) bool {
	switch tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
		return true
	}
	return false
}

// keys checks the keys of one mapping: plain words, each once.
func (c *census) keys(n *yaml.Node) {
	const few = 20 // nodes that are quicker to compare than to hash
	var first map[string]*yaml.Node
	if len(n.Content) > few {
		first = make(map[string]*yaml.Node, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := follow(n.Content[i])
		if key.Kind != yaml.ScalarNode {
			c.report.errorf(c.at(n.Content[i]), "expected a word as key, found %s", kind(key))
			continue
		}
		earlier := first[key.Value]
		if first == nil {
			earlier = keyBefore(n, i, key.Value)
		} else if earlier == nil {
			first[key.Value] = n.Content[i]
		}
		if earlier != nil {
			c.report.errorf(c.at(n.Content[i]), "key %q is here twice, first in line %d", key.Value, earlier.Line)
		}
	}
}

// keyBefore is the first key of that name among the first i nodes of a mapping.
func keyBefore(n *yaml.Node, i int, name string) *yaml.Node {
	for j := 0; j < i; j += 2 {
		if k := follow(n.Content[j]); k.Kind == yaml.ScalarNode && k.Value == name {
			return n.Content[j]
		}
	}
	return nil
}

// follow returns what an alias names. It ends: an alias never names an alias.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// kind names what stands at a node, for messages.
func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	default:
		return "a single value"
	}
}
