package blueprint

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"
	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A word is a string taken as it is written: 1.10 stays 1.10, yes stays yes.
type word struct {
	spot
	Value string
	Set   bool
}

func (w *word) read(d *decoder, n *yaml.Node) {
	w.place(d.at(n))
	if isNull(n) {
		return
	}
	if n.Kind != yaml.ScalarNode {
		d.report.errorf(w.at, "expected a single value, found %s", kind(n))
		return
	}
	w.Value, w.Set = n.Value, true
}

// words is a list of words; a single one needs no list.
type words struct {
	spot
	List []word
	Set  bool
}

func (ws *words) read(d *decoder, n *yaml.Node) {
	ws.place(d.at(n))
	ws.Set = !isNull(n)
	if n.Kind == yaml.SequenceNode {
		d.list(n, reflect.ValueOf(&ws.List).Elem())
	} else if ws.Set {
		ws.List = make([]word, 1)
		ws.List[0].read(d, n)
	}
}

func (ws *words) values() []string {
	list := make([]string, len(ws.List))
	for i, w := range ws.List {
		list[i] = w.Value
	}
	return list
}

// valuesOrNil keeps a list that nobody wrote out of plans.
func (ws *words) valuesOrNil() []string {
	if len(ws.List) == 0 {
		return nil
	}
	return ws.values()
}

// A reference is one ${name} in a text.
type reference struct {
	name string
	at   Position
}

// A text is a word in which parameters may be referred to.
type text struct {
	word
	parsed plan.Text
	refs   []reference
}

func (t *text) read(d *decoder, n *yaml.Node) {
	t.word.read(d, n)
	if t.Set {
		t.parse(d, t.Value, lazyFinder(d, n))
	}
}

// lazyFinder makes a finder when the first reference needs one.
func lazyFinder(d *decoder, n *yaml.Node) func(ref string) Position {
	var f *finder
	return func(ref string) Position {
		if f == nil {
			f = d.src.finder(n)
		}
		return f.find(ref)
	}
}

// parse reads the references of value, which is the scalar or one word of it.
func (t *text) parse(d *decoder, value string, find func(ref string) Position) {
	if !strings.Contains(value, "${") {
		t.parsed = plan.Text(value)
		return
	}
	parts, err := plan.Text(value).Parts()
	var bad *plan.RefError
	if errors.As(err, &bad) {
		// The reference may run over lines; how it begins is enough to find it.
		line, _, _ := strings.Cut(bad.Ref, "\n")
		d.report.errorf(find(line[:min(len(line), 40)]), "%s: %s", bad.Ref, bad.Why)
		return
	}
	t.parsed = plan.Text(value)
	for _, p := range parts {
		if p.Name != "" {
			t.refs = append(t.refs, reference{name: p.Name, at: find("${" + p.Name + "}")})
		}
	}
}

// texts is a list of texts; a single one needs no list.
type texts struct {
	spot
	List []text
	Set  bool
}

func (ts *texts) read(d *decoder, n *yaml.Node) {
	ts.place(d.at(n))
	ts.Set = !isNull(n)
	if n.Kind == yaml.SequenceNode {
		d.list(n, reflect.ValueOf(&ts.List).Elem())
	} else if ts.Set {
		ts.List = make([]text, 1)
		ts.List[0].read(d, n)
	}
}

// A command is an argument list, or a string that is split into one as a shell
// would split words. References are looked for in each argument after that, so
// no value can become two arguments, whatever it holds.
type command struct {
	spot
	List []text
	Set  bool
}

func (c *command) read(d *decoder, n *yaml.Node) {
	c.place(d.at(n))
	c.Set = !isNull(n)
	if !c.Set {
		return
	}
	if n.Kind != yaml.ScalarNode {
		d.list(n, reflect.ValueOf(&c.List).Elem())
		return
	}
	args, err := shellquote.Split(n.Value)
	if err != nil {
		d.report.errorf(c.at, "the command cannot be split into words: %s", strings.ToLower(err.Error())).Hint =
			"write it as a list, or use script for shell code"
		c.List = make([]text, 1) // something stands there, so it is not empty
		return
	}
	if len(args) > maxNodes {
		d.report.errorf(c.at, "the command has more than %d words", maxNodes)
	}
	find := lazyFinder(d, n)
	c.List = make([]text, len(args))
	for i, arg := range args {
		c.List[i].word = word{spot: c.spot, Value: arg, Set: true}
		c.List[i].parse(d, arg, find)
	}
}

// A variable is a name with a text.
type variable struct {
	Name  word
	Value text
}

// arguments is a mapping of names to texts, in the order in which it is written.
type arguments []variable

func (a *arguments) read(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			d.report.errorf(d.at(n), "expected a mapping of names to values, found %s", kind(n))
		}
		return
	}
	d.pairs(n, func(key, value *yaml.Node) {
		var v variable
		v.Name.read(d, key)
		v.Value.read(d, value)
		*a = append(*a, v)
	})
}

// environment is written as a mapping, or as a list of NAME=value.
type environment []variable

func (e *environment) read(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		(*arguments)(e).read(d, n)
		return
	}
	for _, item := range n.Content {
		item = follow(item)
		var w word
		w.read(d, item)
		name, value, ok := strings.Cut(w.Value, "=")
		if !ok {
			if item.Kind == yaml.ScalarNode {
				d.report.errorf(w.at, "expected NAME=value, found %q", w.Value)
			}
			continue
		}
		v := variable{Name: word{spot: w.spot, Value: name, Set: true}}
		v.Value.word = word{spot: w.spot, Value: value, Set: true}
		v.Value.parse(d, value, lazyFinder(d, item))
		*e = append(*e, v)
	}
}

// A duration is a time such as 90s, 10m or 1h30m; a bare number counts seconds,
// as it did in 2019.
type duration struct {
	spot
	Value time.Duration
}

// maxTimeout is the longest time that a file can ask for.
const maxTimeout = 24 * time.Hour

func (t *duration) read(d *decoder, n *yaml.Node) {
	var w word
	w.read(d, n)
	t.place(w.at)
	if !w.Set {
		return
	}
	v, err := time.ParseDuration(w.Value)
	if s, notNumber := strconv.ParseUint(w.Value, 10, 32); notNumber == nil {
		v, err = time.Duration(s)*time.Second, nil
	}
	if err != nil {
		d.report.errorf(t.at, "%q is not a time", w.Value).Hint = "write it as 90s, 10m or 1h30m"
		return
	}
	if v <= 0 || v > maxTimeout {
		d.report.errorf(t.at, "%s is not between 0 and 24h", w.Value)
		return
	}
	t.Value = v
}

// A boolean is true or false, also in the older spellings and in quotes.
type boolean struct {
	spot
	Value bool
	Set   bool
}

func (b *boolean) read(d *decoder, n *yaml.Node) {
	var w word
	w.read(d, n)
	b.place(w.at)
	switch strings.ToLower(w.Value) {
	case "true", "yes", "on":
		b.Value, b.Set = true, true
	case "false", "no", "off":
		b.Set = true
	default:
		if w.Set {
			d.report.errorf(b.at, "expected true or false, found %q", w.Value)
		}
	}
}

// A count is a whole number that is not negative.
type count struct {
	spot
	Value int
}

func (c *count) read(d *decoder, n *yaml.Node) {
	var w word
	w.read(d, n)
	c.place(w.at)
	if !w.Set {
		return
	}
	v, err := strconv.ParseUint(w.Value, 10, 31)
	if err != nil {
		d.report.errorf(c.at, "expected a number from 0 to %d, found %q", math.MaxInt32, w.Value)
		return
	}
	c.Value = int(v)
}
