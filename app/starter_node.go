package app

import (
	"encoding/json"
	"path"
	"strings"
)

// decode reads a JSON file into what v points to, and reports whether it is there.
func (p project) decode(file string, v any) (bool, error) {
	if _, ok := p.has(file); !ok {
		return false, nil
	}
	text, err := p.read(file)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), v); err != nil {
		return false, usage("%s is not valid: %w", path.Join(p.dir, file), err)
	}
	return true, nil
}

// node uses the package manager whose lock file is there and the scripts that the
// package has.
func (p project) node() (starter, bool, error) {
	const file = "package.json"
	var pkg struct {
		Scripts         map[string]string `json:"scripts"`
		Dependencies    map[string]any    `json:"dependencies"`
		DevDependencies map[string]any    `json:"devDependencies"`
		Workspaces      any               `json:"workspaces"` // the packages below, which have dependencies of their own
	}
	if ok, err := p.decode(file, &pkg); !ok || err != nil {
		return starter{}, false, err
	}
	s := starter{name: "node", because: file, description: "Install, build and test the Node package"}
	manager, install := p.packageManager()
	if len(pkg.Dependencies)+len(pkg.DevDependencies) > 0 || pkg.Workspaces != nil {
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
	if _, ok := p.has("bun.lock", "bun.lockb"); ok {
		return "bun", "bun install --frozen-lockfile"
	}
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

// deno asks for less than `deno test` does, which fails where there are no tests yet.
// A task called test knows which permissions the tests need.
func (p project) deno() (starter, bool, error) {
	file, ok := p.has("deno.json", "deno.jsonc")
	if !ok {
		return starter{}, false, nil
	}
	text, err := p.read(file)
	if err != nil {
		return starter{}, false, err
	}
	test := starterStep{description: "Test", command: "deno test --permit-no-files"}
	var settings struct {
		Tasks map[string]any `json:"tasks"`
	}
	// Comments are allowed there. Such a file is Deno's to judge.
	if json.Unmarshal([]byte(text), &settings) == nil && settings.Tasks["test"] != nil {
		test.command = "deno task test"
	}
	return starter{name: "deno", because: file, description: "Test the Deno code", steps: []starterStep{test}}, true, nil
}
