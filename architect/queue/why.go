package queue

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Why says what a ready task waits for: what no builder offers, or, if some do,
// what keeps them. It judges the picture after Decide, with the picks made.
func Why(p Picture, t Task) string {
	if len(p.Builders) == 0 {
		return "no builder is connected"
	}
	if why := lacking(p.Builders, t.Needs); why != "" {
		return why
	}
	if s := p.Shares[t.Repository]; s.Limit > 0 && p.Running[t.Repository] >= s.Limit {
		return fmt.Sprintf("%s has as many tasks under way as it may: %d of %d", t.called(), p.Running[t.Repository], s.Limit)
	}
	fitting, draining, busy, slots := 0, 0, 0, 0
	var reasons []string
	for _, b := range p.Builders {
		switch {
		case !t.Needs.Fits(b.Offer):
			continue
		case b.Draining:
			draining++
		default:
			busy += b.Busy
			slots += b.Capacity
			if b.Reason != "" {
				reasons = append(reasons, b.Name+": "+b.Reason)
			}
		}
		fitting++
	}
	if draining == fitting {
		return fmt.Sprintf("%s, and %s", count(fitting, "builder fits", "builders fit"), agree(fitting, "it is being drained", "all are being drained"))
	}
	if slots == 0 {
		why := fmt.Sprintf("%s, and %s now", count(fitting, "builder fits", "builders fit"), agree(fitting, "takes no work", "none takes work"))
		if len(reasons) > 0 {
			slices.Sort(reasons)
			why += " (" + strings.Join(reasons[:min(len(reasons), mostReasons)], "; ") + ")"
		}
		return why
	}
	why := fmt.Sprintf("%s: %d of %d slots are busy", count(fitting, "builder fits", "builders fit"), busy, slots)
	if n := before(p, t); n > 0 {
		why += fmt.Sprintf(", %s of %s first", count(n, "task", "tasks"), t.called())
	}
	return why
}

// called is the task's repository in a text.
func (t *Task) called() string { return cmp.Or(t.Called, t.Repository) }

// mostReasons bounds what is told of builders that take nothing.
const mostReasons = 3

// lacking names the first thing that no builder has, looking at those that have
// all before it: trust, executors, labels; "" if some builder has all.
func lacking(builders []Builder, n Needs) string {
	left := slices.DeleteFunc(slices.Clone(builders), func(b Builder) bool { return !n.trust(b.Offer) })
	if len(left) == 0 {
		if n.untrusted {
			return fmt.Sprintf("no builder takes code of strangers; %s", count(len(builders), "is there for trusted code", "are there for trusted code"))
		}
		return fmt.Sprintf("no builder takes trusted code; %s", count(len(builders), "is there for code of strangers", "are there for code of strangers"))
	}
	for _, e := range n.executors {
		with := slices.DeleteFunc(slices.Clone(left), func(b Builder) bool { return !slices.Contains(b.Offer.Executors, e) })
		if len(with) == 0 {
			return fmt.Sprintf("no builder has the executor %s; %s", e, executorsOf(left))
		}
		left = with
	}
	var had []string
	for _, name := range slices.Sorted(maps.Keys(n.labels)) {
		label := name + "=" + n.labels[name]
		with := slices.DeleteFunc(slices.Clone(left), func(b Builder) bool {
			got, has := b.Offer.Labels[name]
			return !has || got != n.labels[name]
		})
		if len(with) == 0 {
			return fmt.Sprintf("no builder has the label %s; %s", label, nearest(left, name, had))
		}
		left, had = with, append(had, label)
	}
	return ""
}

// nearest tells of those that have all but a label.
func nearest(left []Builder, name string, had []string) string {
	values := map[string]bool{}
	for _, b := range left {
		if v, has := b.Offer.Labels[name]; has {
			values[name+"="+v] = true
		}
	}
	who := count(len(left), "is connected", "are connected")
	if len(had) > 0 {
		who = count(len(left), "has ", "have ") + strings.Join(had, ", ")
	}
	if len(values) > 0 {
		who += ", with " + strings.Join(slices.Sorted(maps.Keys(values)), ", ")
	}
	return who
}

func executorsOf(builders []Builder) string {
	all := map[string]bool{}
	for _, b := range builders {
		for _, e := range b.Offer.Executors {
			all[e] = true
		}
	}
	return fmt.Sprintf("%s, with %s", count(len(builders), "is connected", "are connected"), strings.Join(slices.Sorted(maps.Keys(all)), ", "))
}

// before counts the ready tasks of the repository that go first.
func before(p Picture, t Task) int {
	n, this := 0, entry{due: due(&t), task: &t}
	for i := range p.Ready {
		other := entry{due: due(&p.Ready[i]), task: &p.Ready[i]}
		if other.task.Repository == t.Repository && other.task.Needs.key == t.Needs.key && other.before(this) {
			n++
		}
	}
	return n
}

func count(n int, one, many string) string { return fmt.Sprintf("%d %s", n, agree(n, one, many)) }

func agree(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
