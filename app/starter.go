package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// A starter is a blueprint for a language that `velocity init` found. It needs
// nothing but the language's own toolchain: no images, no services.
type starter struct {
	name        string
	because     string // the file that gave it away
	description string
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

// A project is the part of a checkout that detection looks at: files at its top.
type project struct{ files fs.FS }

// starters lists blueprints for all that is found: one for each language, a
// Makefile's only where there is no language, and an example as the last resort.
func (p project) starters() ([]starter, error) {
	var found []starter
	for _, detect := range []func(project) (starter, bool, error){
		project.golang, project.node, project.python, project.rust,
	} {
		s, ok, err := detect(p)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, s)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	s, ok, err := p.makefile()
	if err != nil || ok {
		return []starter{s}, err
	}
	return []starter{example}, nil
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

// has reports whether one of the names is a file, and which.
func (p project) has(names ...string) (string, bool) {
	for _, name := range names {
		if info, err := fs.Stat(p.files, name); err == nil && info.Mode().IsRegular() {
			return name, true
		}
	}
	return "", false
}

// isDir reports whether name is a folder.
func (p project) isDir(name string) bool {
	info, err := fs.Stat(p.files, name)
	return err == nil && info.IsDir()
}

// read returns a file's text, or "" if there is none.
func (p project) read(name string) (string, error) {
	if _, ok := p.has(name); !ok {
		return "", nil
	}
	data, err := fs.ReadFile(p.files, name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return string(data), nil
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

// A newFile is a file to be written.
type newFile struct{ path, text string }

// create writes files that must not exist yet, below a folder that they cannot
// leave. If one cannot be written, none is left behind.
func create(root *os.Root, files []newFile) (err error) {
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, name := range made {
			err = errors.Join(err, root.Remove(name))
		}
	}()
	for _, f := range files {
		if err := root.MkdirAll(path.Dir(f.path), 0o777); err != nil {
			return fmt.Errorf("create folder: %w", err)
		}
		file, err := root.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return fmt.Errorf("create file: %w", err)
		}
		made = append(made, f.path)
		_, err = file.WriteString(f.text)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	return nil
}
