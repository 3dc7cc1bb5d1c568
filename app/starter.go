package app

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// A starter is a blueprint for a language that `velocity init` found. It needs
// nothing but the language's own toolchain: no images, no services.
type starter struct {
	name        string
	because     string // the file that gave it away
	description string
	dir         string // where its steps run, below the top; "" is the top
	steps       []starterStep
}

// A starterStep runs a command or a script. All its texts are our own and are
// written as they stand: nothing from the repository may go into them.
type starterStep struct {
	description string
	command     string
	script      string // instead of a command
	environment string // NAME=value
}

// A project is the part of a checkout that detection looks at: a folder of it.
type project struct {
	files fs.FS
	dir   string // its name at the top; "" is the top itself
}

// languages says what is looked for. Each entry reports whether it is there.
var languages = []func(project) (starter, bool, error){
	project.golang, project.node, project.deno, project.python, project.rust, project.cmake,
	project.java, project.ruby, project.php, project.dotnet,
}

// starters lists blueprints for all that is found: one for each language, a
// Makefile's only where there is no language, those of folders only where there is
// nothing at the top, and an example as the last resort.
func (p project) starters() ([]starter, error) {
	found, err := p.languages()
	if err != nil || len(found) > 0 {
		return found, err
	}
	s, ok, err := p.makefile()
	if err != nil || ok {
		return []starter{s}, err
	}
	found, err = p.below()
	if err != nil || len(found) > 0 {
		return found, err
	}
	return []starter{example}, nil
}

// languages lists a blueprint for each language of the folder.
func (p project) languages() ([]starter, error) {
	var found []starter
	for _, detect := range languages {
		s, ok, err := detect(p)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, s)
		}
	}
	return found, nil
}

// plainName is what a folder must be called to be looked into: it becomes a part of
// file names, of names of blueprints and of what is written in them.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// below lists the blueprints of the folders at the top, each named after its folder
// and its language.
func (p project) below() ([]starter, error) {
	entries, err := fs.ReadDir(p.files, ".")
	if err != nil {
		return nil, fmt.Errorf("list the folders: %w", err)
	}
	var all []starter
	for _, entry := range entries {
		dir := entry.Name()
		if !entry.IsDir() || !plainName.MatchString(dir) || foreign[dir] {
			continue
		}
		files, err := fs.Sub(p.files, dir)
		if err != nil {
			return nil, fmt.Errorf("open folder %s: %w", dir, err)
		}
		found, err := project{files, dir}.languages()
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			s.name, s.because, s.dir = path.Join(dir, s.name), path.Join(dir, s.because), dir
			all = append(all, s)
		}
	}
	return all, nil
}

// example is for repositories in which nothing was recognised.
var example = starter{
	name:        "hello",
	description: "An example to begin with",
	steps: []starterStep{{
		description: "Say hello",
		script:      "echo \"Hello from $VELOCITY_GIT_COMMIT_SHA_SHORT\"\nls",
	}},
}

// blueprint is the starter as a file.
func (s starter) blueprint() string {
	var b strings.Builder
	fmt.Fprintf(&b, "description: %s\nsteps:\n", s.description)
	for _, step := range s.steps {
		fmt.Fprintf(&b, "  - type: run\n    description: %s\n", step.description)
		if step.script != "" {
			fmt.Fprintf(&b, "    script: |\n      %s\n", strings.ReplaceAll(step.script, "\n", "\n      "))
		} else {
			fmt.Fprintf(&b, "    command: %s\n", step.command)
		}
		if s.dir != "" {
			fmt.Fprintf(&b, "    workingDir: %q\n", s.dir)
		}
		if step.environment != "" {
			fmt.Fprintf(&b, "    environment:\n      - %s\n", step.environment)
		}
	}
	return b.String()
}

// starterPipeline builds all starters at the same time.
func starterPipeline(starters []starter) string {
	var b strings.Builder
	b.WriteString("description: Runs for every push to a branch\nstages:\n  - name: test\n    blueprints:\n")
	for _, s := range starters {
		fmt.Fprintf(&b, "      - %s\n", s.name)
	}
	return b.String()
}
