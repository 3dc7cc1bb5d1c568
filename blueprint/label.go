package blueprint

import "github.com/velocity-ci/velocity/blueprint/plan"

// labelRule: labels decide who may build a task, before anything runs.
var labelRule = rule{field: "labels", before: -1}

// labels checks the labels that a blueprint asks of its builder.
func (k *checker) labels(labels arguments) {
	for i := range labels {
		l := &labels[i]
		if !plan.ValidLabel(l.Name.Value) {
			k.report.errorf(l.Name.at, "%q is not the name of a label", shorten(l.Name.Value, 40)).Hint =
				"letters, digits, dots, dashes, slashes and underscores, at most 63"
		}
		k.text(&l.Value, labelRule)
		if len(l.Value.refs) == 0 && !plan.ValidLabel(l.Value.Value) {
			k.badLabel(l, l.Value.Value)
		}
	}
}

func (k *checker) badLabel(l *variable, value string) {
	k.report.errorf(l.Value.at, "label %s cannot have the value %q", l.Name.Value, shorten(value, 40)).Hint =
		"letters, digits, dots, dashes, slashes and underscores, at most 63"
}

// labels are those that the task's blueprint asks for, and the blueprints that it
// includes: their steps run on the same builder.
func (t *task) labels(b *blueprint) map[string]string {
	labels := map[string]string{}
	for _, part := range t.config.closure(b) {
		for i := range part.Labels {
			t.want(labels, &part.Labels[i])
		}
	}
	if len(labels) == 0 {
		return nil
	}
	return labels
}

// want adds one label to those of a task.
func (t *task) want(labels map[string]string, l *variable) {
	t.check.text(&l.Value, labelRule)
	value, ok := t.expand(&l.Value)
	name := l.Name.Value
	switch earlier, has := labels[name]; {
	case !ok:
	case !plan.ValidLabel(value):
		t.check.badLabel(l, value)
	case has && earlier != value:
		t.report.errorf(l.Name.at, "label %s is asked for with two values, %s and %s: no builder has both", name, earlier, value)
	case t.spend(l.Name.at, len(name)+len(value)):
		labels[name] = value
	}
}
