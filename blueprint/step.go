package blueprint

import (
	"reflect"

	"gopkg.in/yaml.v3"
)

// A step is one of the kinds of steps; exactly one pointer is set, or none if the
// type could not be read.
type step struct {
	spot
	common    *common
	run       *runStep
	build     *buildStep
	push      *pushStep
	compose   *composeStep
	blueprint *blueprintStep
}

// common is what all steps have.
type common struct {
	spot
	Type         word      `yaml:"type" jsonschema:"required" jsonschema_description:"Kind of the step"`
	Description  word      `yaml:"description" jsonschema_description:"For people"`
	Timeout      duration  `yaml:"timeout" jsonschema_description:"Longest time of the step"`
	IgnoreErrors boolean   `yaml:"ignoreErrors" jsonschema_description:"Whether the task goes on when the step fails"`
	Always       boolean   `yaml:"always" jsonschema_description:"That the step runs also after a failure"`
	When         condition `yaml:"when" jsonschema_description:"CEL expression; if it is false the step is skipped"`
	Secrets      words     `yaml:"secrets" jsonschema_description:"Secret parameters that the step may see"`
}

type runStep struct {
	common
	mention word // the first variable about the build that its code names

	Image          text        `yaml:"image" jsonschema_description:"Container image; without it the command runs on the builder itself"`
	Command        command     `yaml:"command" jsonschema_description:"Words of a command, or a string that is split into words"`
	Script         word        `yaml:"script" jsonschema_description:"Shell code for sh -eu; parameters are environment variables in it"`
	Environment    environment `yaml:"environment" jsonschema_description:"Environment variables"`
	SecretFiles    words       `yaml:"secretFiles" jsonschema_description:"Secret parameters that the step finds in files, whose paths are in variables named after them with _FILE"`
	WorkingDir     text        `yaml:"workingDir" jsonschema_description:"Directory in the workspace"`
	MountPoint     text        `yaml:"mountPoint" jsonschema_description:"Where the container sees the workspace, /velocity_ci if not set"`
	IgnoreExitCode boolean     `yaml:"ignoreExitCode" jsonschema_description:"Whether every exit code is a success"`
	Network        text        `yaml:"network" jsonschema_description:"Network of the container"`
	User           text        `yaml:"user" jsonschema_description:"User in the container"`
	Pull           word        `yaml:"pull" jsonschema_description:"When the image is pulled: missing, always or never"`
	Services       []service   `yaml:"services" jsonschema_description:"Containers that run beside the step"`
}

func (runStep) noun() string { return "a run step" }

// A service is a container beside a run step.
type service struct {
	spot
	Image       text        `yaml:"image" jsonschema:"required" jsonschema_description:"Container image"`
	Alias       word        `yaml:"alias" jsonschema_description:"Host name of the service, the last word of the image's path if not set"`
	Command     command     `yaml:"command" jsonschema_description:"Command in place of the image's own"`
	Environment environment `yaml:"environment" jsonschema_description:"Environment variables of the service"`
	Ready       command     `yaml:"ready" jsonschema_description:"Command in the service that succeeds once it is ready"`
}

func (service) noun() string { return "a service" }

type buildStep struct {
	common
	Dockerfile text      `yaml:"dockerfile" jsonschema_description:"Path of the Dockerfile in the workspace"`
	Context    text      `yaml:"context" jsonschema_description:"Directory of the workspace that is built"`
	Tags       texts     `yaml:"tags" jsonschema_description:"Names of the image"`
	Target     text      `yaml:"target" jsonschema_description:"Stage of the Dockerfile to build, the last if not set"`
	Args       arguments `yaml:"args" jsonschema_description:"Values of the Dockerfile's ARGs"`
	Platforms  words     `yaml:"platforms" jsonschema_description:"Platforms to build for, such as linux/arm64"`
}

func (buildStep) noun() string { return "a build step" }

type pushStep struct {
	common
	Tags texts `yaml:"tags" jsonschema:"required" jsonschema_description:"Names of the images to push"`
}

func (pushStep) noun() string { return "a push step" }

type composeStep struct {
	common
	ComposeFile text `yaml:"composeFile" jsonschema:"required" jsonschema_description:"Path of the Compose file in the workspace"`
	Service     word `yaml:"service" jsonschema_description:"Service whose exit code counts; any that is not zero if not set"`
}

func (composeStep) noun() string { return "a compose step" }

type blueprintStep struct {
	common
	Name  word  `yaml:"name" jsonschema_description:"Blueprint whose steps are done here"`
	Names words `yaml:"names" jsonschema_description:"Blueprints whose steps are done here, in order"`
}

func (blueprintStep) noun() string { return "a blueprint step" }

// included lists the blueprints whose steps stand in for this one.
func (s *blueprintStep) included() []word {
	if s.Name.Set {
		return []word{s.Name}
	}
	return s.Names.List
}

// A stepKind makes the struct for a type of step.
type stepKind struct {
	name  string
	value func(s *step) (any, *common)
}

// stepKinds is a function, so that it costs nothing until a file is read.
func stepKinds() []stepKind {
	return []stepKind{
		{"run", func(s *step) (any, *common) { s.run = &runStep{}; return s.run, &s.run.common }},
		{"build", func(s *step) (any, *common) { s.build = &buildStep{}; return s.build, &s.build.common }},
		{"push", func(s *step) (any, *common) { s.push = &pushStep{}; return s.push, &s.push.common }},
		{"compose", func(s *step) (any, *common) { s.compose = &composeStep{}; return s.compose, &s.compose.common }},
		{"blueprint", func(s *step) (any, *common) { s.blueprint = &blueprintStep{}; return s.blueprint, &s.blueprint.common }},
	}
}

// read looks for the type first: it decides which keys there are.
func (s *step) read(d *decoder, n *yaml.Node) {
	s.place(d.at(n))
	if n.Kind != yaml.MappingNode {
		d.report.errorf(s.at, "expected a step, written as a mapping of keys to values, found %s", kind(n))
		return
	}
	var typ word
	d.pairs(n, func(key, value *yaml.Node) {
		if key.Value == "type" {
			typ.read(d, value)
		}
	})
	var names []string
	for _, k := range stepKinds() {
		if k.name == typ.Value {
			v, c := k.value(s)
			s.common = c
			d.object(n, reflect.ValueOf(v).Elem())
			return
		}
		names = append(names, k.name)
	}
	if !typ.Set {
		d.report.errorf(s.at, "the step has no type").Hint = "add type: run, build, push, compose or blueprint"
		return
	}
	f := d.report.errorf(typ.at, "there is no step type %q, expected run, build, push, compose or blueprint", typ.Value)
	d.report.didYouMean(f, typ.Value, names)
}
