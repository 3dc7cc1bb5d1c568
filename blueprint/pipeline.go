package blueprint

import (
	"reflect"

	"gopkg.in/yaml.v3"
)

// A pipeline is one file under pipelines/: stages of blueprints, and what starts
// them.
type pipeline struct {
	unit
	spot
	Description word        `yaml:"description" jsonschema_description:"For people"`
	On          *on         `yaml:"on" jsonschema_description:"What starts the pipeline; without it, default runs for every push to a branch and every pull request, and others when asked for"`
	Concurrency concurrency `yaml:"concurrency" jsonschema_description:"Which builds of the repository run one after the other"`
	Priority    priority    `yaml:"priority" jsonschema_description:"Which of the repository's waiting tasks go first; only the default branch's counts"`
	Checks      checks      `yaml:"checks" jsonschema_description:"What forges show as a check of its own: the build, or with tasks each of its tasks, too"`
	Environment environment `yaml:"environment" jsonschema_description:"Environment variables of all steps"`
	Stages      []stage     `yaml:"stages" jsonschema:"required" jsonschema_description:"Stages, one after the other"`
}

func (pipeline) noun() string { return "a pipeline" }

type on struct {
	Push        *push        `yaml:"push" jsonschema_description:"Pushes; without branches and tags, all of them"`
	PullRequest *pullRequest `yaml:"pull_request" jsonschema_description:"Pull and merge requests; without branches, all of them"`
	Schedule    []schedule   `yaml:"schedule" jsonschema_description:"Times, read from the default branch's file"`
	Manual      boolean      `yaml:"manual" jsonschema_description:"That the pipeline is started by hand"`
}

func (on) noun() string { return "on" }

type push struct {
	Branches words `yaml:"branches" jsonschema_description:"Patterns of branch names; !pattern takes away again"`
	Tags     words `yaml:"tags" jsonschema_description:"Patterns of tag names; !pattern takes away again"`
	Paths    words `yaml:"paths" jsonschema_description:"Patterns of files of which one must have changed, for branches; !pattern takes away again"`
}

func (push) noun() string { return "on.push" }

type pullRequest struct {
	Branches words `yaml:"branches" jsonschema_description:"Patterns of the branches that it is for; !pattern takes away again"`
	Paths    words `yaml:"paths" jsonschema_description:"Patterns of files of which one must have changed; !pattern takes away again"`
}

func (pullRequest) noun() string { return "on.pull_request" }

type stage struct {
	spot
	Name       word    `yaml:"name" jsonschema_description:"For people"`
	Blueprints []entry `yaml:"blueprints" jsonschema:"required" jsonschema_description:"Blueprints that may be built at the same time"`
}

func (stage) noun() string { return "a stage" }

// An entry is one blueprint of a stage: its name alone, or with settings.
type entry struct {
	spot
	Name         word      `yaml:"name" jsonschema:"required" jsonschema_description:"Name of the blueprint"`
	Parameters   arguments `yaml:"parameters" jsonschema_description:"Values that stand in for defaults"`
	IgnoreErrors boolean   `yaml:"ignoreErrors" jsonschema_description:"Whether the stage succeeds although this fails"`
	When         condition `yaml:"when" jsonschema_description:"CEL expression; if it is false the task is skipped"`
}

func (entry) noun() string { return "a blueprint of a stage" }

func (e *entry) read(d *decoder, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		e.place(d.at(n))
		e.Name.read(d, n)
		return
	}
	d.object(n, reflect.ValueOf(e).Elem())
}
