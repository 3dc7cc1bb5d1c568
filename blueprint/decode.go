package blueprint

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// A decoder reads YAML nodes into the types of the language. It goes on after a
// mistake, so that one look shows all of them.
type decoder struct {
	src    *source
	report *report
}

// A reader reads itself, because it can be written in more than one way.
type reader interface {
	read(d *decoder, n *yaml.Node)
}

// A spot remembers where an object begins.
type spot struct{ at Position }

func (s *spot) place(at Position) { s.at = at }

// A field is one key that a struct type knows.
type field struct {
	number   int // in the order of the keys
	index    []int
	required bool
}

// A form is the keys of a struct type.
type form struct {
	fields map[string]field
	names  []string // in order, for suggestions
}

// forms keeps what reflection found out, by type.
var forms sync.Map

func formOf(t reflect.Type) *form {
	if f, ok := forms.Load(t); ok {
		return f.(*form)
	}
	f := &form{fields: map[string]field{}}
	for _, sf := range reflect.VisibleFields(t) {
		if name := sf.Tag.Get("yaml"); name != "" {
			f.fields[name] = field{number: len(f.names), index: sf.Index, required: sf.Tag.Get("jsonschema") == "required"}
			f.names = append(f.names, name)
		}
	}
	forms.Store(t, f)
	return f
}

func (d *decoder) at(n *yaml.Node) Position {
	return Position{File: d.src.name, Line: n.Line, Column: n.Column}
}

// value reads n into v, which is a reader, a struct with yaml tags, or a slice or
// pointer of those.
func (d *decoder) value(n *yaml.Node, v reflect.Value) {
	n = follow(n)
	if r, ok := v.Addr().Interface().(reader); ok {
		r.read(d, n)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem())
	case reflect.Slice:
		d.list(n, v)
	default:
		d.object(n, v)
	}
}

// list reads a sequence. A key with nothing after it is an empty list.
func (d *decoder) list(n *yaml.Node, v reflect.Value) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.report.errorf(d.at(n), "expected a list, found %s", kind(n)).Hint = "begin each item with a dash"
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(item, v.Index(i))
	}
}

// object reads a mapping into a struct.
func (d *decoder) object(n *yaml.Node, v reflect.Value) {
	if p, ok := v.Addr().Interface().(interface{ place(Position) }); ok {
		p.place(d.at(n))
	}
	if n.Kind != yaml.MappingNode && !isNull(n) {
		d.report.errorf(d.at(n), "expected %s, written as a mapping of keys to values, found %s", noun(v), kind(n))
		return
	}
	form := formOf(v.Type())
	seen := make([]bool, len(form.names))
	d.pairs(n, func(key, value *yaml.Node) {
		f, ok := form.fields[key.Value]
		if !ok {
			d.unknownKey(key, v, form)
			return
		}
		at := v.FieldByIndex(f.index)
		// Nothing is a list without items, but no value.
		seen[f.number] = !isNull(value) || at.Kind() == reflect.Slice
		d.value(value, at)
	})
	for i, name := range form.names {
		if form.fields[name].required && !seen[i] {
			d.report.errorf(d.at(n), "%s needs the key %q", noun(v), name)
		}
	}
}

func (d *decoder) unknownKey(key *yaml.Node, v reflect.Value, form *form) {
	f := d.report.warnf(d.at(key), "%s has no key %q", noun(v), key.Value)
	d.report.didYouMean(f, key.Value, form.names)
	if f.Hint == "" {
		f.Hint = "its keys are " + strings.Join(form.names, ", ")
	}
}

// noun names the type for messages: every struct of the language has a noun.
func noun(v reflect.Value) string {
	if n, ok := v.Addr().Interface().(interface{ noun() string }); ok {
		return n.noun()
	}
	return "this"
}

// pairs calls f for the keys of a mapping: first those written in it, then those
// it merges in with `<<` and does not have itself.
func (d *decoder) pairs(n *yaml.Node, f func(key, value *yaml.Node)) {
	if !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Tag == "!!merge" }) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := follow(n.Content[i]); key.Kind == yaml.ScalarNode {
				f(key, follow(n.Content[i+1]))
			}
		}
		return
	}
	d.merge(n, map[string]bool{}, f)
}

func (d *decoder) merge(n *yaml.Node, done map[string]bool, f func(key, value *yaml.Node)) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := follow(n.Content[i]), follow(n.Content[i+1])
		switch {
		case key.Kind != yaml.ScalarNode:
		case key.Tag == "!!merge":
			merged = append(merged, value)
		case !done[key.Value]:
			done[key.Value] = true
			f(key, value)
		}
	}
	for _, m := range merged {
		d.mergeValue(m, done, f)
	}
}

func (d *decoder) mergeValue(m *yaml.Node, done map[string]bool, f func(key, value *yaml.Node)) {
	switch m.Kind {
	case yaml.MappingNode:
		d.merge(m, done, f)
	case yaml.SequenceNode:
		for _, item := range m.Content {
			d.mergeValue(follow(item), done, f)
		}
	default:
		d.report.errorf(d.at(m), "<< merges mappings, found %s", kind(m))
	}
}
