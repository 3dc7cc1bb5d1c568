package blueprint

import (
	"reflect"

	"gopkg.in/yaml.v3"
)

// A blueprint is one file under blueprints/: how one thing is built.
type blueprint struct {
	unit
	spot
	id       int          // index among the blueprints
	includes []*blueprint // each once, in the order of their first mention
	implied  parameters   // names that the matrix gives and nothing declares
	scope    *scope       // with every parameter as its default says

	Description word        `yaml:"description" jsonschema_description:"For people"`
	Timeout     duration    `yaml:"timeout" jsonschema_description:"Longest time of the whole task"`
	Retries     retries     `yaml:"retries" jsonschema_description:"How often the task is tried again after a failure"`
	Labels      arguments   `yaml:"labels" jsonschema_description:"Labels that the builder must have, with these values"`
	Parameters  parameters  `yaml:"parameters" jsonschema_description:"Values that the steps use by name"`
	Matrix      matrix      `yaml:"matrix" jsonschema_description:"Values of parameters; there is a task for each combination"`
	Environment environment `yaml:"environment" jsonschema_description:"Environment variables of all steps"`
	Docker      docker      `yaml:"docker" jsonschema_description:"Settings for the steps that use container images"`
	Needs       needs       `yaml:"needs" jsonschema_description:"What earlier tasks of the build must have left"`
	Inputs      texts       `yaml:"inputs" jsonschema_description:"Patterns of all files that the outcome depends on, so that it can be reused"`
	Caches      []cache     `yaml:"caches" jsonschema_description:"Paths that later builds find again"`
	Artifacts   texts       `yaml:"artifacts" jsonschema_description:"Patterns of files that are kept"`
	Reports     reports     `yaml:"reports" jsonschema_description:"Files in which tools tell what they found"`
	Effects     boolean     `yaml:"effects" jsonschema_description:"That it changes the world: never reused and never repeated by itself"`
	Steps       []step      `yaml:"steps" jsonschema:"required" jsonschema_description:"What is done, in order"`
}

func (blueprint) noun() string { return "a blueprint" }

// retries is a number, or a mapping with the number in it.
type retries struct {
	spot
	Times   count    `yaml:"times" jsonschema:"required" jsonschema_description:"Further tries after a failure, at most 10"`
	Backoff duration `yaml:"backoff" jsonschema_description:"Wait before the first of them, doubled before each further one"`
}

func (retries) noun() string { return "retries" }

func (r *retries) read(d *decoder, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		r.place(d.at(n))
		r.Times.read(d, n)
		return
	}
	d.object(n, reflect.ValueOf(r).Elem())
}

type needs struct {
	Artifacts texts `yaml:"artifacts" jsonschema_description:"Tasks of earlier stages, by name or by blueprint, whose artifacts are unpacked first"`
}

func (needs) noun() string { return "needs" }

type cache struct {
	spot
	Key   text  `yaml:"key" jsonschema:"required" jsonschema_description:"Name of the cache"`
	Files texts `yaml:"files" jsonschema_description:"Patterns of files whose content is part of the key"`
	Paths texts `yaml:"paths" jsonschema:"required" jsonschema_description:"Files and directories of the workspace that are kept"`
}

func (cache) noun() string { return "a cache" }

type reports struct {
	JUnit texts `yaml:"junit" jsonschema_description:"Patterns of files with test results in JUnit's XML"`
	SARIF texts `yaml:"sarif" jsonschema_description:"Patterns of files with findings in SARIF"`
}

func (reports) noun() string { return "reports" }

type docker struct {
	Registries []registry `yaml:"registries" jsonschema_description:"Registries to log in to"`
}

func (docker) noun() string { return "docker" }

type registry struct {
	spot
	Address   text      `yaml:"address" jsonschema_description:"Host of the registry"`
	Use       word      `yaml:"use" jsonschema_description:"Executable that logs in"`
	Arguments arguments `yaml:"arguments" jsonschema_description:"Values given to the executable"`
	Username  text      `yaml:"username" jsonschema_description:"Who logs in"`
	Password  text      `yaml:"password" jsonschema_description:"A secret parameter, as ${name}"`
}

func (registry) noun() string { return "a registry" }
