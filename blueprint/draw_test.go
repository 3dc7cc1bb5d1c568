package blueprint

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// The files of 2019 load without an error, and what they draw is known. What
// needs a URL loads too, but cannot be drawn.
func TestConfiguration2019(t *testing.T) {
	c, findings := mustLoad(t, dir(t, "testdata/2019"))
	if err := findings.Err(); err != nil {
		t.Fatalf("errors: %v", err)
	}
	for _, f := range findings {
		if strings.Contains(f.File, "examples") {
			t.Errorf("a plain example has a finding: %v", f)
		}
	}
	p := mustDraw(t, c, request("default", commit()))
	got, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/2019.plan.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("plan differs (-want +got):\n%s", diff)
	}
	req := request("images/publish", commit())
	req.Given = map[string]string{"hub_username": "", "hub_password": ""}
	var refused Findings
	if _, err := c.Draw(req); !errors.As(err, &refused) || !strings.Contains(err.Error(), "from a URL") {
		t.Errorf("Draw of a URL = %v; want a refusal", err)
	}
}

func TestList(t *testing.T) {
	c, _ := mustLoad(t, dir(t, "testdata/2019"))
	var names []string
	for _, s := range append(c.Pipelines(), c.Blueprints()...) {
		names = append(names, s.Name+" "+s.Description)
	}
	want := []string{
		"default ", "examples/compose Several services", "examples/hello Hello Velocity", "examples/parameters Greets somebody",
		"images/publish Builds and publishes the image", "images/publish-2 Announces it",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("lists differ (-want +got):\n%s", diff)
	}
	root := Root{
		File: ".velocity.yml", Logo: "https://example.com/logo.png",
		Plugins: []Plugin{{
			Use: "plugins/slack", Arguments: map[string]string{"CHANNEL": "ci", "SLACK_TOKEN": "${slack}"},
			Events: []string{"BUILD_START", "BUILD_FAIL", "BUILD_SUCCESS"},
		}},
	}
	if diff := cmp.Diff(root, c.Root()); diff != "" {
		t.Errorf("Root() differs (-want +got):\n%s", diff)
	}
}

func TestConfigPath(t *testing.T) {
	c, _ := mustLoad(t, files{
		".velocity.yaml":            "project: {configPath: ./ci/}\n",
		"ci/blueprints/x.yml":       "steps: [{type: run, command: x}]",
		".velocityci/blueprints/y":  "",
		".velocityci/pipelines/yml": "",
	})
	if got := c.Blueprints(); len(got) != 1 || got[0].Name != "x" {
		t.Errorf("Blueprints() = %v; want x", got)
	}
}

// Names: the pipeline first, then the blueprint, then a suggestion over both.
func TestDrawByName(t *testing.T) {
	c, _ := mustLoad(t, files{
		".velocityci/blueprints/unit.yml": "steps: [{type: run, command: x}]",
		".velocityci/blueprints/both.yml": "steps: [{type: run, command: x}]",
		".velocityci/pipelines/both.yml":  "stages: [{name: s, blueprints: [unit, unit]}]",
	})
	if p := mustDraw(t, c, request("both", commit())); p.Kind != plan.OfPipeline || p.Stages[0].Tasks[1].Name != "unit#2" {
		t.Errorf("Draw(both) = %+v; want the pipeline with unit and unit#2", p)
	}
	if p := mustDraw(t, c, request("unit", commit())); p.Kind != plan.OfBlueprint || len(p.Stages) != 1 {
		t.Errorf("Draw(unit) = %+v; want the blueprint", p)
	}
	_, err := c.Draw(request("untit", commit()))
	var unknown *UnknownNameError
	if !errors.As(err, &unknown) || unknown.Nearest != "unit" {
		t.Errorf("Draw(untit) = %v; want a suggestion of unit", err)
	}
}

// Errors elsewhere do not stop a plan; errors in what it is made of do, and so
// does a name that may be in a file that cannot be read.
func TestDrawStopsAtErrorsThatConcernIt(t *testing.T) {
	c, _ := mustLoad(t, files{
		".velocityci/blueprints/good.yml":  "steps: [{type: run, command: x}]",
		".velocityci/blueprints/bad.yml":   "steps: [{type: run}]",
		".velocityci/blueprints/outer.yml": "steps: [{type: blueprint, name: bad}]",
		".velocityci/blueprints/torn.yml":  "steps: [",
		".velocityci/pipelines/p.yml":      "stages: [{blueprints: [good, outer]}]",
		".velocityci/pipelines/torn.yml":   "stages: [{blueprints: [torn]}]",
	})
	mustDraw(t, c, request("good", commit()))
	for _, name := range []string{"bad", "outer", "p", "torn"} {
		var findings Findings
		if _, err := c.Draw(request(name, commit())); !errors.As(err, &findings) {
			t.Errorf("Draw(%s) = %v; want findings", name, err)
		}
	}
}

func TestDrawParameters(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocity.yml": `
parameters:
  - {name: team, default: core}
  - {name: os, default: root}
`,
		".velocityci/blueprints/b.yml": `
parameters:
  - {name: os, default: linux, otherOptions: [darwin, windows]}
  - {name: arch}
  - {name: image, default: "app-${os}:${git.branch.clean}"}
  - {name: key, secret: true}
steps:
  - type: run
    image: ${image}
    command: [build, "${os}/${arch}", "${team}", "${build.number}", "${key}"]
  - type: run
    command: [plain]
  - type: run
    script: use "$key"
    secrets: [key]
`,
		".velocityci/pipelines/p.yml": `
stages:
  - name: build
    blueprints:
      - {name: b, parameters: {arch: amd64, os: darwin}, ignoreErrors: true}
      - {name: b, parameters: {os: "${team}"}}
`,
	})
	if len(findings) > 0 {
		t.Fatalf("findings: %v", findings)
	}
	req := request("p", commit())
	var missing *MissingError
	_, err := c.Draw(req)
	want := []Missing{{Name: "key", Secret: true}, {Name: "arch"}}
	if !errors.As(err, &missing) || !cmp.Equal(missing.Parameters, want) {
		t.Fatalf("Draw() = %v; want %v missing", err, want)
	}

	req.Given = map[string]string{"key": "s3cr3t"}
	req.Trigger.Parameters = map[string]string{"arch": "arm64", "key": "older"}
	p := mustDraw(t, c, req)
	tasks := p.Stages[0].Tasks
	if got := []string{tasks[0].Name, tasks[1].Name}; !cmp.Equal(got, []string{"b (os=darwin, arch=arm64)", "b (os=core)"}) {
		t.Errorf("tasks are named %q", got)
	}
	if !tasks[0].MayFail || tasks[1].MayFail {
		t.Errorf("ignoreErrors of the tasks: %v, %v; want true, false", tasks[0].MayFail, tasks[1].MayFail)
	}
	command := []plan.Text{"build", "darwin/arm64", "core", "${build.number}", "${key}"}
	if diff := cmp.Diff(command, tasks[0].Steps[0].Run.Command); diff != "" {
		t.Errorf("command differs (-want +got):\n%s", diff)
	}
	if got := tasks[0].Steps[0].Run.Image; got != "app-darwin:feature-x-y" {
		t.Errorf("image = %q", got)
	}
	var secrets [][]string
	for _, s := range tasks[0].Steps {
		secrets = append(secrets, s.Secrets)
	}
	if diff := cmp.Diff([][]string{{"key"}, nil, {"key"}}, secrets); diff != "" {
		t.Errorf("secrets of the steps differ (-want +got):\n%s", diff)
	}
	if data, _ := p.Encode(); bytes.Contains(data, []byte("s3cr3t")) || bytes.Contains(data, []byte("older")) {
		t.Error("the plan holds a secret's value")
	}
}

// The default of a secret is no secret, but what it is given later may be: texts
// keep the reference.
func TestDrawSecretWithDefault(t *testing.T) {
	task := drawOne(t, "parameters: [{name: s, secret: true, default: d}]\nsteps: [{type: run, command: ['${s}']}]")
	if got := task.Steps[0].Run.Command[0]; got != "${s}" {
		t.Errorf("command = %q; want the reference", got)
	}
	if p := task.Parameters[0]; !p.Secret || p.Value == nil || *p.Value != "d" {
		t.Errorf("parameter = %+v; want its default, marked secret", p)
	}
}

func TestDrawRefusesGivenValues(t *testing.T) {
	c, _ := mustLoad(t, one(`
parameters:
  - {name: os, default: linux, otherOptions: [darwin]}
  - {name: any, default: x}
steps: [{type: run, command: x}]
`))
	for _, given := range []map[string]string{
		{"os": "windows"}, {"any": "a\x00b"}, {"any": "\xff"}, {"any": strings.Repeat("x", maxValue+1)},
	} {
		req := request("b", commit())
		req.Given = given
		var bad *ValueError
		if _, err := c.Draw(req); !errors.As(err, &bad) {
			t.Errorf("Draw with %.20q = %v; want a *ValueError", given, err)
		}
	}
	req := request("b", commit())
	req.Given = map[string]string{"ayn": "x"}
	var unknown *UnknownNameError
	if _, err := c.Draw(req); !errors.As(err, &unknown) || unknown.Nearest != "any" {
		t.Errorf("Draw with an unknown parameter = %v; want a suggestion of any", err)
	}
	req = request("b", commit())
	req.Lookup = func(name string) (string, bool) { return "from outside", name == "any" }
	if p := mustDraw(t, c, req); *p.Stages[0].Tasks[0].Parameters[1].Value != "from outside" {
		t.Errorf("parameters = %+v; want the value of Lookup", p.Stages[0].Tasks[0].Parameters)
	}
}

func TestDrawDerived(t *testing.T) {
	task := drawOne(t, `
parameters:
  - use: ./tools/version
    arguments: {branch: "${git.branch.clean}", build: "${build.id}"}
    exports: {version: app_version, hidden: own}
    timeout: 30
  - name: later
    default: x
steps:
  - type: run
    command: [deploy, "${app_version}"]
`)
	want := []plan.Parameter{
		{Derived: &plan.Derived{
			Use: "tools/version", Timeout: plan.Duration(30e9), At: ".velocityci/blueprints/b.yml:3:5",
			Arguments: []plan.Variable{{Name: "branch", Value: "feature-x-y"}, {Name: "build", Value: "${build.id}"}},
			Exports:   map[string]string{"version": "app_version", "hidden": "own"},
		}},
		{Name: "later", Value: new("x")},
	}
	if diff := cmp.Diff(want, task.Parameters); diff != "" {
		t.Errorf("parameters differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"app_version"}, task.Steps[0].Secrets); diff != "" {
		t.Errorf("a derived value may be secret, but the step may not see it (-want +got):\n%s", diff)
	}
}

func TestDrawComposition(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocityci/blueprints/outer.yml": `
parameters:
  - {name: version, default: "2"}
steps:
  - {type: run, command: [first]}
  - {type: blueprint, names: [inner, other], ignoreErrors: true, timeout: 5m, secrets: [token]}
`,
		".velocityci/blueprints/inner.yml": `
timeout: 1m
parameters:
  - {name: version, default: "1"}
  - {name: extra, default: e}
  - {name: token, secret: true}
steps:
  - {type: run, command: [inner, "${version}", "${extra}"], timeout: 10m}
  - {type: run, command: [short], timeout: 10s}
`,
		".velocityci/blueprints/other.yml": "steps: [{type: push, tags: x}]",
	})
	if len(findings) > 0 {
		t.Fatalf("findings: %v", findings)
	}
	req := request("outer", commit())
	req.Given = map[string]string{"token": "x"}
	task := mustDraw(t, c, req).Stages[0].Tasks[0]
	var got []string
	for _, s := range task.Steps {
		line := s.Name + " " + s.Timeout.String() + " " + strings.Join(s.Secrets, ",")
		if s.IgnoreErrors {
			line += " ignored"
		}
		got = append(got, line)
	}
	want := []string{
		"first 0s ", "inner ${version} ${extra} 5m0s token ignored", "short 10s token ignored", "push x 5m0s token ignored",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps differ (-want +got):\n%s", diff)
	}
	if got := task.Steps[1].Run.Command; !slices.Equal(got, []plan.Text{"inner", "2", "e"}) {
		t.Errorf("command = %q; want the outer blueprint's version", got)
	}
	if task.Timeout != 0 {
		t.Errorf("the task's timeout is %v; an included blueprint's is not its own", task.Timeout)
	}
}

// What is known only when a plan is drawn is checked then.
func TestDrawChecksValues(t *testing.T) {
	const outside = `
parameters:
  - {name: p, default: fine}
steps:
  - type: run
    image: "x${p}"
    workingDir: ${p}
    mountPoint: /app
`
	c, _ := mustLoad(t, one(outside))
	for _, value := range []string{"../..", "/etc", "a\nb"} {
		req := request("b", commit())
		req.Given = map[string]string{"p": value}
		var findings Findings
		if _, err := c.Draw(req); !errors.As(err, &findings) {
			t.Errorf("Draw with p=%q = %v; want findings", value, err)
		}
	}
	c, _ = mustLoad(t, one("parameters: [{name: p, default: x}]\nsteps: [{type: compose, composeFile: '${p}'}, {type: build, context: '${p}'}]"))
	for _, value := range []string{"", "../x", "-x", "/x"} {
		req := request("b", commit())
		req.Given = map[string]string{"p": value}
		var findings Findings
		if _, err := c.Draw(req); !errors.As(err, &findings) || len(findings) != 2 {
			t.Errorf("Draw with the path %q = %v; want two findings", value, err)
		}
	}
	c, _ = mustLoad(t, one(outside))
	req := request("b", commit())
	req.Given = map[string]string{"p": "/app/sub/../x"}
	if _, err := c.Draw(req); err != nil {
		t.Errorf("Draw with a directory below the mount point: %v", err)
	}
}

// A pipeline can make a value tainted that the blueprint's default is not.
func TestDrawTaintComesWithTheValue(t *testing.T) {
	tree := files{
		".velocityci/blueprints/b.yml": `
parameters: [{name: tag, default: latest}]
steps: [{type: run, image: "app:${tag}"}]
`,
		".velocityci/pipelines/p.yml": `stages: [{blueprints: [{name: b, parameters: {tag: "${git.branch}"}}]}]`,
	}
	c, _ := mustLoad(t, tree)
	mustDraw(t, c, request("b", commit()))
	if _, err := c.Draw(request("p", commit())); err == nil || !strings.Contains(err.Error(), "whoever pushes") {
		t.Errorf("Draw(p) = %v; want the tainted image refused", err)
	}
	req := request("p", commit())
	req.Given = map[string]string{"tag": "v1"}
	mustDraw(t, c, req)
}

func TestDrawGit(t *testing.T) {
	git := commit()
	asked := map[string]int{}
	ask := func(blueprint string) *plan.Plan {
		clear(asked)
		c, _ := mustLoad(t, one(blueprint))
		req := request("b", git)
		inner := req.Git
		req.Git = func(name string) (string, error) { asked[name]++; return inner(name) }
		return mustDraw(t, c, req)
	}
	git["git.commit.message"] = strings.Repeat("é", maxGit) + "\x00 end"
	git["git.commit.author"] = "J\xf6rg"
	p := ask("steps: [{type: run, command: x}]")
	if asked["git.describe"]+asked["git.describe.all"] != 0 || asked["git.commit.message"] != 1 {
		t.Errorf("asked for %v; want no description and each value once", asked)
	}
	if _, ok := p.Git["git.describe"]; ok || p.Git["git.branch.clean"] != "feature-x-y" || p.Git["git.commit.author"] != "J\ufffdrg" {
		t.Errorf("Git = %.200v", p.Git)
	}
	if m := p.Git["git.commit.message"]; len(m) != maxGit || strings.Trim(m, "é") != "" {
		t.Errorf("a long message became %d bytes; want %d of whole characters", len(m), maxGit)
	}
	for _, mention := range []string{
		"steps: [{type: run, command: 'x ${git.describe}'}]", "steps: [{type: run, script: 'x $VELOCITY_GIT_DESCRIBE'}]",
		"steps: [{type: run, image: a, environment: {A: '${git.describe.clean}'}}]",
	} {
		if p := ask(mention); p.Git["git.describe"] != git["git.describe"] {
			t.Errorf("%s: git.describe is not in the plan", mention)
		}
	}
	delete(git, "git.tag")
	c, _ := mustLoad(t, one("steps: [{type: run, command: x}]"))
	if _, err := c.Draw(request("b", git)); err == nil || !strings.Contains(err.Error(), "git.tag") {
		t.Errorf("Draw without a value for git.tag = %v", err)
	}
}

func TestDrawLimits(t *testing.T) {
	huge := strings.Repeat("x", maxValue-1)
	for name, tree := range map[string]files{
		"text":  one("parameters: [{name: p, default: " + huge + "}]\nsteps: [{type: run, command: ['${p}${p}']}]"),
		"steps": {".velocityci/blueprints/b.yml": includes("c", 40), ".velocityci/blueprints/c.yml": includes("d", 40), ".velocityci/blueprints/d.yml": "steps: [{type: run, command: x}]"},
		"plan": {
			".velocityci/blueprints/big.yml": "steps: [{type: run, script: " + huge + "}]",
			".velocityci/pipelines/b.yml":    "stages: [{blueprints: [" + strings.Repeat("big,", 400) + "]}]",
		},
		"tasks": {
			".velocityci/blueprints/c.yml": "steps: [{type: run, command: x}]",
			".velocityci/pipelines/b.yml":  "stages: [{blueprints: [" + strings.Repeat("c,", plan.MaxTasks+1) + "]}]",
		},
	} {
		c, findings := mustLoad(t, tree)
		if err := findings.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var refused Findings
		if _, err := c.Draw(request("b", commit())); !errors.As(err, &refused) || len(refused) != 1 {
			t.Errorf("%s: Draw() = %.300v; want one finding", name, err)
		}
	}
}

// includes is a blueprint that includes another n times.
func includes(name string, n int) string {
	return "steps: [{type: blueprint, names: [" + strings.Repeat(name+",", n) + "]}]"
}

func TestStepNames(t *testing.T) {
	task := drawOne(t, `
steps:
  - {type: run, command: "go test './a b'"}
  - {type: run, script: "# comment\n\nmake all\nmake more"}
  - {type: run, image: alpine}
  - {type: build, tags: [a, b]}
  - {type: compose, composeFile: c.yml}
  - {type: run, command: x, description: "two\nlines \e[31m"}
`)
	var names []string
	for _, s := range task.Steps {
		names = append(names, s.Name)
	}
	want := []string{"go test './a b'", "make all", "alpine", "build a b", "compose c.yml", "two …"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}
}

// Findings that nobody sees any more may be errors, so nothing is drawn.
func TestDrawRefusesWhatIsNotShown(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocityci/blueprints/a.yml":    strings.Repeat("---\nx: 1\nsteps: [{type: run, command: x}]\n", maxFindings),
		".velocityci/blueprints/good.yml": "steps: [{type: run, command: x}]",
		".velocityci/pipelines/p.yml":     "x: 1\nstages: [{blueprints: [missing]}]",
	})
	if len(findings) != maxFindings+1 {
		t.Errorf("%d findings; want %d and what is not shown", len(findings), maxFindings)
	}
	for _, name := range []string{"good", "p"} {
		var refused Findings
		if _, err := c.Draw(request(name, commit())); !errors.As(err, &refused) {
			t.Errorf("Draw(%s) = %v; want findings", name, err)
		}
	}
}
