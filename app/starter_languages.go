package app

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

func (p project) golang() (starter, bool, error) {
	file, ok := p.has("go.mod", "go.work")
	s := starter{name: "go", because: file, description: "Vet and test the Go packages"}
	for _, step := range []starterStep{{description: "Vet", command: "go vet"}, {description: "Test", command: "go test"}} {
		if file == "go.work" { // no module at the top: each has its own packages
			step.script, step.command = "go list -f '{{.Dir}}/...' -m | xargs "+step.command, ""
		} else {
			step.command += " ./..."
		}
		s.steps = append(s.steps, step)
	}
	return s, ok, nil
}

// node uses the package manager whose lock file is there and the scripts that the
// package has.
func (p project) node() (starter, bool, error) {
	const file = "package.json"
	if _, ok := p.has(file); !ok {
		return starter{}, false, nil
	}
	text, err := p.read(file)
	if err != nil {
		return starter{}, false, err
	}
	var pkg struct {
		Scripts         map[string]string `json:"scripts"`
		Dependencies    map[string]any    `json:"dependencies"`
		DevDependencies map[string]any    `json:"devDependencies"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &pkg); err != nil {
		return starter{}, false, usage("%s is not valid: %w", file, err)
	}
	s := starter{name: "node", because: file, description: "Install, build and test the Node package"}
	manager, install := p.packageManager()
	if len(pkg.Dependencies)+len(pkg.DevDependencies) > 0 {
		s.steps = append(s.steps, starterStep{description: "Install", command: install})
	}
	for _, script := range []string{"lint", "typecheck", "build", "test"} {
		code := pkg.Scripts[script]
		if code == "" || strings.Contains(code, "no test specified") { // what `npm init` puts there fails
			continue
		}
		s.steps = append(s.steps, starterStep{description: "Run " + script, command: manager + " run " + script})
	}
	if len(s.steps) == 0 {
		s.steps = []starterStep{{description: "No script to run was found", command: "node --version"}}
	}
	return s, true, nil
}

// packageManager tells the program and how it installs exactly what is locked.
func (p project) packageManager() (manager, install string) {
	if _, ok := p.has("pnpm-lock.yaml"); ok {
		return "pnpm", "pnpm install --frozen-lockfile"
	}
	if _, ok := p.has("yarn.lock"); ok {
		if _, modern := p.has(".yarnrc.yml"); modern {
			return "yarn", "yarn install --immutable"
		}
		return "yarn", "yarn install --frozen-lockfile"
	}
	if _, ok := p.has("package-lock.json", "npm-shrinkwrap.json"); ok {
		return "npm", "npm ci"
	}
	return "npm", "npm install --no-package-lock"
}

func (p project) python() (starter, bool, error) {
	file, ok := p.has("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")
	if !ok {
		return starter{}, false, nil
	}
	s := starter{name: "python", because: file, description: "Test the Python package"}
	pytest, err := p.usesPytest()
	if err != nil {
		return starter{}, false, err
	}
	test := starterStep{description: "Test", command: "python3 -m pytest"}
	switch {
	case pytest:
	case p.isDir("tests") && !p.isPackage("tests"):
		test.command = "python3 -m unittest discover -s tests"
	case p.isPackage("tests") || p.hasTests():
		test.command = "python3 -m unittest discover"
	default: // discovering no tests is a failure
		test = starterStep{description: "Compile, for no tests were found", command: "python3 -m compileall -q ."}
		s.description = "Compile the Python package"
	}
	if p.isDir("src") {
		test.environment = "PYTHONPATH=src"
	}
	s.steps = []starterStep{test}
	return s, true, nil
}

// usesPytest looks for pytest's settings, and for its name among the requirements.
func (p project) usesPytest() (bool, error) {
	if _, ok := p.has("pytest.ini", "conftest.py", "tests/conftest.py"); ok {
		return true, nil
	}
	for _, name := range []string{"pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "requirements.txt", "requirements-dev.txt", "dev-requirements.txt"} {
		text, err := p.read(name)
		if err != nil {
			return false, err
		}
		if strings.Contains(text, "pytest") {
			return true, nil
		}
	}
	return false, nil
}

func (p project) isPackage(dir string) bool {
	_, ok := p.has(path.Join(dir, "__init__.py"))
	return ok
}

// hasTests reports whether unittest would find tests at the top.
func (p project) hasTests() bool {
	files, err := fs.Glob(p.files, "test*.py")
	return err == nil && len(files) > 0
}

func (p project) rust() (starter, bool, error) {
	file, ok := p.has("Cargo.toml")
	locked := ""
	if _, has := p.has("Cargo.lock"); has {
		locked = " --locked"
	}
	return starter{
		name: "rust", because: file, description: "Build and test the Rust crates",
		steps: []starterStep{
			{description: "Build", command: "cargo build" + locked},
			{description: "Test", command: "cargo test" + locked},
		},
	}, ok, nil
}

// makefile calls the targets that are there under their usual names, and the
// first one, as make does unasked, only where there are none.
func (p project) makefile() (starter, bool, error) {
	file, ok := p.has("GNUmakefile", "makefile", "Makefile")
	if !ok {
		return starter{}, false, nil
	}
	text, err := p.read(file)
	if err != nil {
		return starter{}, false, err
	}
	s := starter{name: "make", because: file, description: "Make what the Makefile says"}
	for _, target := range []string{"all", "build", "lint", "check", "test"} {
		rule := regexp.MustCompile(`(?m)^(?:[\w.-]+ +)*` + target + `(?: +[\w.-]+)* *::?(?:[^=]|$)`)
		if rule.MatchString(text) {
			s.steps = append(s.steps, starterStep{description: fmt.Sprintf("Make %s", target), command: "make " + target})
		}
	}
	if len(s.steps) == 0 {
		s.steps = []starterStep{{description: "Make the first target", command: "make"}}
	}
	return s, true, nil
}
