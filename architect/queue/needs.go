package queue

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Needs are what a builder must offer to be given a task. The zero value fits
// every builder that is there for trusted code.
type Needs struct {
	labels    map[string]string
	executors []string
	untrusted bool
	key       string // equal for equal needs: tasks are many, kinds of them few
}

// NewNeeds are all of the labels, with these values, and all of the executors.
// Untrusted is code of strangers.
func NewNeeds(labels map[string]string, executors []string, untrusted bool) Needs {
	n := Needs{labels: maps.Clone(labels), executors: slices.Clone(executors), untrusted: untrusted}
	slices.Sort(n.executors)
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&key, "%q=%q ", name, labels[name])
	}
	for _, e := range n.executors {
		fmt.Fprintf(&key, "%q ", e)
	}
	if untrusted {
		key.WriteByte('!')
	}
	n.key = key.String()
	return n
}

// An Offer is what a builder can do.
type Offer struct {
	Labels    map[string]string
	Executors []string
	// Untrusted builders take code of strangers, and nothing else: what a stranger
	// leaves behind must not meet anybody's secrets.
	Untrusted bool
}

// Fits reports whether a builder with the offer may be given the task.
func (n Needs) Fits(o Offer) bool {
	return n.trust(o) && len(n.lackedExecutors(o)) == 0 && len(n.lackedLabels(o)) == 0
}

func (n Needs) trust(o Offer) bool { return n.untrusted == o.Untrusted }

func (n Needs) lackedExecutors(o Offer) (lacked []string) {
	for _, e := range n.executors {
		if !slices.Contains(o.Executors, e) {
			lacked = append(lacked, e)
		}
	}
	return lacked
}

func (n Needs) lackedLabels(o Offer) (lacked []string) {
	for name, value := range n.labels {
		if got, has := o.Labels[name]; !has || got != value {
			lacked = append(lacked, name)
		}
	}
	return lacked
}
