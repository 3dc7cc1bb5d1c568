package compose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/builder/executor"
)

// A policy is what a project is held to.
type policy struct {
	root    string // of the workspace, without links
	project string // the name that all of the project begins with
	labels  map[string]string
	limits  Limits
	// source is where the engine finds a path of the workspace, and whether containers
	// may only read there.
	source func(path string) (source string, readOnly bool, err error)
}

// A checked project may be given to the engine.
type checked struct {
	json       []byte
	services   map[string]int // how many containers each has
	containers []container
}

// A container is one that a project will have, as the plugin calls it and as it
// is called in the log.
type container struct{ name, label string }

const (
	maxContainers = 64 // of a project
	maxRefusals   = 5  // that one error tells
)

// check looks at the plugin's expansion of a project, field by field, and returns
// what may be run: marked, limited, and with every path final. The error names
// the services and fields that were refused.
func check(expanded []byte, p policy) (*checked, error) {
	d := json.NewDecoder(bytes.NewReader(expanded))
	d.UseNumber()
	var project map[string]any
	if err := d.Decode(&project); err != nil {
		return nil, broke("read what docker compose config printed", err)
	}
	c := &checker{policy: p, files: map[string]string{}, out: &checked{services: map[string]int{}}}
	c.project(project)
	if c.broken != nil {
		return nil, c.broken
	}
	if err := c.refusal(); err != nil {
		return nil, err
	}
	var err error
	if c.out.json, err = json.Marshal(project); err != nil {
		return nil, broke("write the checked project", err)
	}
	return c.out, nil
}

// A checker goes through one project and keeps what it refuses.
type checker struct {
	policy
	refused []string
	binds   []bind
	files   map[string]string // of secrets and configs, by their places
	broken  error             // the engine does not answer
	out     *checked
}

// A rule says what becomes of a field's value: what it returns, or nothing at all
// if that is nil. at names the place for people.
type rule func(c *checker, at string, value any) any

func (c *checker) refuse(at, why string) any {
	c.refused = append(c.refused, at+": "+why)
	return nil
}

func (c *checker) refusal() error {
	if len(c.refused) == 0 {
		return nil
	}
	slices.Sort(c.refused)
	told := c.refused[:min(len(c.refused), maxRefusals)]
	what := "the Compose project is refused: " + strings.Join(told, "; ")
	if more := len(c.refused) - len(told); more > 0 {
		what += fmt.Sprintf("; and %d more", more)
	}
	return &executor.StartError{What: what, Hint: "a project may use the workspace and what it brings itself"}
}

// object applies a table to an object. A field without a rule is refused unless
// it says nothing.
func (c *checker) object(at string, value any, table map[string]rule) map[string]any {
	fields, ok := value.(map[string]any)
	if !ok {
		if value != nil {
			c.refuse(at, "it is not an object")
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field := at + "." + name
		r, known := table[name]
		switch {
		case strings.HasPrefix(name, "x-"):
			delete(fields, name)
			continue
		case !known && empty(fields[name]):
			delete(fields, name)
			continue
		case !known:
			r = refused("it is not known to be harmless")
		}
		if fields[name] = r(c, field, fields[name]); fields[name] == nil && name != "entrypoint" && name != "command" {
			delete(fields, name)
		}
	}
	return fields
}

// each applies an object's rules to every entry of a map of them.
func (c *checker) each(at string, value any, entry func(at, name string, fields map[string]any)) any {
	all, ok := value.(map[string]any)
	if !ok {
		if !empty(value) {
			c.refuse(at, "it is not an object")
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fields, ok := all[name].(map[string]any)
		if !ok {
			if !empty(all[name]) {
				c.refuse(at+"."+name, "it is not an object")
			}
			fields = map[string]any{}
		}
		entry(at+"."+name, name, fields)
		all[name] = fields
	}
	return all
}

// list applies a rule to every item.
func (c *checker) list(at string, value any, item rule) any {
	items, ok := value.([]any)
	if !ok {
		if !empty(value) {
			c.refuse(at, "it is not a list")
		}
		return nil
	}
	for i := range items {
		items[i] = item(c, fmt.Sprintf("%s[%d]", at, i), items[i])
	}
	return items
}

// empty reports whether a value says nothing.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		n, err := v.Float64()
		return err == nil && n == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, inner := range v {
			if !empty(inner) {
				return false
			}
		}
		return true
	}
	return false
}

var errNotText = errors.New("it is not a text")

// text is a value as it is meant: the plugin doubles each $ so that nothing is
// expanded again.
func text(value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		return "", errNotText
	}
	plain := strings.ReplaceAll(s, "$$", "\x00")
	if strings.ContainsRune(plain, '$') || strings.ContainsRune(s, 0) {
		return "", errors.New("it holds a variable")
	}
	return strings.ReplaceAll(plain, "\x00", "$"), nil
}

// quoted is the opposite of text.
func quoted(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// number reads what the plugin prints as a number or as a text of one.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil
	}
	return 0, false
}
