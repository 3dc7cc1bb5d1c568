package blueprint

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// values is what a condition is decided with.
type values struct {
	t          *task
	parameters map[string]string
}

// ResolveName implements cel.Activation.
func (v values) ResolveName(name string) (any, bool) {
	trigger := v.t.req.Trigger
	switch name {
	case "parameters":
		return v.parameters, true
	case "build.event":
		return string(trigger.Event), true
	case "build.ref":
		return trigger.Ref, true
	case "build.branch":
		return plan.Branch(trigger.Ref), true
	case "build.tag":
		return plan.Tag(trigger.Ref), true
	case "build.target":
		return plan.Branch(trigger.Target), true
	case trustedName:
		return trigger.Trusted(), true
	case "build.pipeline":
		return v.t.pipeline.name, true
	}
	if _, ok := lookupBuiltIn(name); ok {
		return v.t.value(name)
	}
	return nil, false
}

// Parent implements cel.Activation.
func (values) Parent() cel.Activation { return nil }

// holds decides a condition. One that is not there holds, and so does one that
// cannot be decided for a reason that is reported.
func (t *task) holds(c *condition) bool {
	if !c.Set || c.predicate == nil || c.predicate.program == nil {
		return true
	}
	for _, use := range c.predicate.uses {
		if _, ok := t.values[use.name]; !ok {
			return true // which is reported as a missing value
		}
	}
	with, err := cel.FunctionVars(values{t: t, parameters: t.values}, map[string]cel.LateBoundFunction{changedFunction: t.changedPatterns})
	if err != nil {
		t.fail(fmt.Errorf("decide a condition: %w", err))
		return true
	}
	out, _, err := c.predicate.program.Eval(with)
	if err != nil {
		if t.err == nil { // else the files could not be compared, which is nobody's mistake
			t.report.errorf(c.at, "the condition cannot be decided: %s", err.Error())
		}
		return true
	}
	return out == types.True
}

// changedPatterns is the function changed of conditions.
func (t *task) changedPatterns(_ string, args ...ref.Val) ref.Val {
	list, err := args[0].ConvertToNative(reflect.TypeFor[[]string]())
	if err != nil {
		return types.WrapErr(err)
	}
	changed, err := t.changed(list.([]string))
	if err != nil {
		t.fail(err)
		return types.WrapErr(err)
	}
	return types.Bool(changed)
}

// changed asks whether the patterns choose a file that changed, once for each list.
func (d *drawer) changed(patterns []string) (bool, error) {
	if d.req.Changed == nil {
		return true, nil
	}
	key := strings.Join(patterns, "\x00")
	if known, ok := d.changes[key]; ok {
		return known, nil
	}
	is, err := d.req.Changed(slices.Clone(patterns))
	if err != nil {
		return false, fmt.Errorf("find out what changed: %w", err)
	}
	d.changes[key] = is
	return is, nil
}
