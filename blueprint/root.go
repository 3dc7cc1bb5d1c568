package blueprint

import (
	"path"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// A rootFile is .velocity.yml: what holds for the whole repository.
type rootFile struct {
	spot
	Project     project     `yaml:"project" jsonschema_description:"The project as a whole"`
	Git         gitSettings `yaml:"git" jsonschema_description:"How a task's workspace is checked out"`
	Parameters  parameters  `yaml:"parameters" jsonschema_description:"Parameters of every task"`
	Environment environment `yaml:"environment" jsonschema_description:"Environment variables of every step"`
	Plugins     []plugin    `yaml:"plugins" jsonschema_description:"What is run when something happens to a build"`
}

func (rootFile) noun() string { return "the root file" }

func (r *rootFile) read(d *decoder, n *yaml.Node) {
	d.object(n, reflect.ValueOf(r).Elem())
	r.check(d.report)
}

type project struct {
	Name       word `yaml:"name" jsonschema_description:"Name to show instead of the repository's"`
	Logo       word `yaml:"logo" jsonschema_description:"Address of an image, or path of one in the repository"`
	ConfigPath word `yaml:"configPath" jsonschema_description:"Directory that holds blueprints/ and pipelines/, .velocityci if not set"`
}

func (project) noun() string { return "project" }

type gitSettings struct {
	Depth     count   `yaml:"depth" jsonschema_description:"Number of commits to check out, 0 for the whole history"`
	Submodule boolean `yaml:"submodule" jsonschema_description:"Whether submodules are checked out"`
}

func (gitSettings) noun() string { return "git" }

type plugin struct {
	spot
	Use       word      `yaml:"use" jsonschema:"required" jsonschema_description:"What the plugin does: slack or webhook"`
	Arguments arguments `yaml:"arguments" jsonschema_description:"Values given to the plugin; one that is ${NAME} is the secret of that name"`
	Events    words     `yaml:"events" jsonschema_description:"Events that the plugin is told of, BUILD_COMPLETE if not set"`
}

func (plugin) noun() string { return "a plugin" }

const defaultConfigPath = ".velocityci"

// configPath is the directory that holds the folders of blueprints and pipelines.
// It takes the place of .velocityci, as it did in 2019.
func (r *rootFile) configPath() string {
	dir := r.Project.ConfigPath
	if clean, ok := inside(dir.Value); dir.Set && ok {
		return clean
	}
	return defaultConfigPath
}

func (r *rootFile) check(rep *report) {
	if dir := r.Project.ConfigPath; dir.Set {
		if _, ok := inside(dir.Value); !ok {
			rep.errorf(dir.at, "configPath %q is not a directory in the repository", dir.Value)
		}
	}
	for i := range r.Plugins {
		r.Plugins[i].check(rep)
	}
}

// inside cleans a path and reports whether it stays below the directory it is
// relative to.
func inside(dir string) (string, bool) {
	clean := path.Clean(dir)
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsAny(clean, "\x00\n\r") {
		return "", false
	}
	return clean, true
}
