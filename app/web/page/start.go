package page

import (
	"cmp"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Start is the form that starts a build, as it was filled in.
type Start struct {
	Repository string // as it is called now
	Identity   string // what it stays known by
	Once       string
	Ref        string
	NoReuse    bool
	Offer
	Problem string // with what was filled in
}

func (s Start) about() (string, string) { return "start", "Start a build of " + s.Repository }

// An Offer is what can be started, and what is chosen of it.
type Offer struct {
	Choices []Choice // none if nobody knows
	Name    string   // of the chosen one; it may be none of them
	Fields  []Field  // of the chosen one
}

// A Choice is a pipeline or a blueprint that can be started.
type Choice struct {
	Kind              plan.Kind
	Name, Description string
}

// Kinds are the choices by their kinds.
func (o Offer) Kinds() []choices {
	var all []choices
	for _, kind := range []plan.Kind{plan.OfPipeline, plan.OfBlueprint} {
		group := choices{Kind: kind}
		for _, c := range o.Choices {
			if c.Kind == kind {
				group.List = append(group.List, c)
			}
		}
		if group.List != nil {
			all = append(all, group)
		}
	}
	return all
}

type choices struct {
	Kind plan.Kind
	List []Choice
}

// A Field is for a value of a parameter. Left empty, it gives none.
type Field struct {
	Name        string
	Description string
	Defaults    []string // what tasks have without a value
	All         bool     // without a value there are tasks for all options
	Required    bool     // without a value some task has none
	Options     []string // the only values; nil if any may be given

	Value   string // as it was filled in
	Problem string // with that
}

// ID is what the field is called in its form and on its page.
func (f Field) ID() string { return FieldParameter + f.Name }

// Listed reports whether there is a list of values to choose from.
func (f Field) Listed() bool { return f.Options != nil }

// Unless says what there is if the field is left empty; "" if that cannot be.
func (f Field) Unless() string {
	if f.Required {
		return ""
	}
	var all []string
	if f.All {
		all = append(all, "every value of the list")
	}
	for _, text := range f.Defaults {
		if text != "" {
			text = "“" + text + "”"
		}
		all = append(all, cmp.Or(text, "empty"))
	}
	return cmp.Or(strings.Join(all, " or "), "no value")
}

// About are the ids of what tells of the field, for those who do not see it.
func (f Field) About() string {
	var ids []string
	if f.Description != "" {
		ids = append(ids, f.ID()+"-about")
	}
	if !f.Listed() {
		ids = append(ids, f.ID()+"-unless")
	}
	if f.Problem != "" {
		ids = append(ids, f.ID()+"-problem")
	}
	return strings.Join(ids, " ")
}
