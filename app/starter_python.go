package app

import (
	"path"
	"regexp"
	"strings"
)

// A pythonRunner brings the environment that a lock file describes.
type pythonRunner struct {
	lock    string
	install string // "" if running does it
	run     string // what stands in front of python
}

var pythonRunners = []pythonRunner{
	{"uv.lock", "", "uv run --frozen python"},
	{"poetry.lock", "poetry install --no-interaction", "poetry run python"},
	{"pdm.lock", "pdm sync", "pdm run python"},
	{"Pipfile.lock", "pipenv sync --dev", "pipenv run python"},
}

// ownPython is the machine's, or that of the environment that is active.
var ownPython = pythonRunner{run: "python3"}

func (p project) python() (starter, bool, error) {
	because, ok := p.hasLike("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "manage.py", "test*.py", "tests/test*.py")
	if !ok {
		return starter{}, false, nil
	}
	runner := ownPython
	for _, r := range pythonRunners {
		if _, ok := p.has(r.lock); ok {
			runner = r
			break
		}
	}
	s := starter{name: "python", because: because, description: "Test the Python code"}
	if runner.install != "" {
		s.steps = append(s.steps, starterStep{description: "Install", command: runner.install})
	}
	tests, err := p.pythonTests(runner)
	if err != nil {
		return starter{}, false, err
	}
	if p.isDir("src") {
		for i := range tests {
			tests[i].environment = "PYTHONPATH=src"
		}
	}
	s.steps = append(s.steps, tests...)
	return s, true, nil
}

// pythonTests are the steps for the tests that there are: neither pytest nor, in newer
// versions, unittest is content with none.
func (p project) pythonTests(r pythonRunner) ([]starterStep, error) {
	pytest, err := p.usesPytest()
	if err != nil {
		return nil, err
	}
	if pytest {
		some, err := p.find(".", func(file string) (bool, error) { return pytestFile(file), nil })
		if err != nil {
			return nil, err
		}
		if some {
			return pytestSteps(r), nil
		}
	}
	if text, err := p.read("manage.py"); err != nil {
		return nil, err
	} else if strings.Contains(text, "django") {
		return []starterStep{{description: "Test", command: r.run + " manage.py test"}}, nil
	}
	tests, err := p.unittests(r)
	if err != nil || len(tests) > 0 {
		return tests, err
	}
	return []starterStep{{
		description: "Compile, for no tests were found",
		// Without -f a file is skipped that was compiled in the second of its last change.
		command: r.run + " -m compileall -f -q -x '/([.]|venv/)' .",
	}}, nil
}

// pytestSteps look for pytest first unless a lock file brings it: that it has to be
// installed is worth more words than Python's own.
func pytestSteps(r pythonRunner) []starterStep {
	test := starterStep{description: "Test", command: r.run + " -m pytest"}
	if r != ownPython {
		return []starterStep{test}
	}
	return []starterStep{{
		description: "Look for pytest",
		script: r.run + ` -m pytest --version || {
  echo "The tests need pytest, which this python3 does not have. Install it, or activate"
  echo "the environment that has it; to always install it, make that a step of its own."
  exit 1
}`,
	}, test}
}

// unittests are the steps that find tests as unittest does: below the top and in the
// usual folders, through packages only.
func (p project) unittests(r pythonRunner) ([]starterStep, error) {
	var steps []starterStep
	for _, start := range []string{".", "tests", "test"} {
		if start != "." && p.isPackage(start) { // found from the top
			continue
		}
		found, err := p.find(start, func(file string) (bool, error) {
			return unittestFile(file) && p.throughPackages(start, file), nil
		})
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		step := starterStep{description: "Test", command: r.run + " -m unittest discover"}
		if start != "." {
			step.description, step.command = "Test what is in "+start, step.command+" -s "+start
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// throughPackages reports whether all folders between start and the file are packages.
func (p project) throughPackages(start, file string) bool {
	for dir := path.Dir(file); dir != start; dir = path.Dir(dir) {
		if !p.isPackage(dir) {
			return false
		}
	}
	return true
}

func (p project) isPackage(dir string) bool {
	_, ok := p.has(path.Join(dir, "__init__.py"))
	return ok
}

func unittestFile(file string) bool {
	base := path.Base(file)
	return strings.HasPrefix(base, "test") && path.Ext(base) == ".py"
}

// pytestFile is the default of pytest's python_files.
func pytestFile(file string) bool {
	base := path.Base(file)
	return path.Ext(base) == ".py" && (strings.HasPrefix(base, "test_") || strings.HasSuffix(base, "_test.py"))
}

// pytestCode is code that unittest cannot load or never runs.
var pytestCode = regexp.MustCompile(`(?m)^(?:(?:import|from) pytest\b|(?:async +)?def test)`)

// usesPytest looks for pytest's settings, for its name among the requirements, and for
// tests that are written for it.
func (p project) usesPytest() (bool, error) {
	if _, ok := p.has("pytest.ini", ".pytest.ini", "conftest.py", "tests/conftest.py"); ok {
		return true, nil
	}
	for _, name := range []string{"pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "Pipfile", "requirements.txt", "requirements-dev.txt", "dev-requirements.txt"} {
		text, err := p.read(name)
		if err != nil {
			return false, err
		}
		if strings.Contains(text, "pytest") {
			return true, nil
		}
	}
	return p.find(".", func(file string) (bool, error) {
		if !pytestFile(file) {
			return false, nil
		}
		text, err := p.read(file)
		return pytestCode.MatchString(text), err
	})
}
