package blueprint

import (
	"cmp"
	"maps"
	"slices"
)

// A Summary is what `list` shows of a blueprint or pipeline.
type Summary struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	File        string `json:"file"`
}

// Blueprints lists the blueprints by name, those with mistakes included.
func (c *Config) Blueprints() []Summary {
	var list []Summary
	for _, b := range c.blueprints {
		list = append(list, Summary{Name: b.name, Description: b.Description.Value, File: b.file})
	}
	return sorted(list)
}

// Pipelines lists the pipelines by name, those with mistakes included.
func (c *Config) Pipelines() []Summary {
	var list []Summary
	for _, p := range c.pipelines {
		list = append(list, Summary{Name: p.name, Description: p.Description.Value, File: p.file})
	}
	return sorted(list)
}

func sorted(list []Summary) []Summary {
	slices.SortFunc(list, func(a, b Summary) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Root is the root file's settings that are about more than one task.
type Root struct {
	File    string // "" if there is none
	Name    string // of the project; "" for the repository's
	Logo    string // address or path in the repository
	Plugins []Plugin
}

// A Plugin is run when one of its events happens.
type Plugin struct {
	Use       string
	Arguments map[string]string
	Events    []string
}

// Root returns the root file's settings.
func (c *Config) Root() Root {
	r := Root{File: c.rootPath, Name: c.root.Project.Name.Value, Logo: c.root.Project.Logo.Value}
	for _, p := range c.root.Plugins {
		out := Plugin{Use: p.Use.Value, Arguments: map[string]string{}, Events: p.Events.values()}
		for _, a := range p.Arguments {
			out.Arguments[a.Name.Value] = a.Value.Value
		}
		r.Plugins = append(r.Plugins, out)
	}
	return r
}

// sortedUnits lists blueprints or pipelines by name.
func sortedUnits[U any](units map[string]U) []U {
	var list []U
	for _, name := range slices.Sorted(maps.Keys(units)) {
		list = append(list, units[name])
	}
	return list
}

// names lists pipelines and blueprints for suggestions.
func (c *Config) names() []string {
	return append(slices.Sorted(maps.Keys(c.pipelines)), slices.Sorted(maps.Keys(c.blueprints))...)
}

// errorsIn returns the errors that a plan of these blueprints would meet: those
// in their files, and those that are about the configuration as a whole.
func (c *Config) errorsIn(files map[string]bool) Findings {
	other := map[string]bool{}
	for _, b := range c.blueprints {
		other[b.file] = !files[b.file]
	}
	for _, p := range c.pipelines {
		other[p.file] = !files[p.file]
	}
	return c.findings.filter(func(f Finding) bool { return f.Severity == SeverityError && !other[f.File] })
}
