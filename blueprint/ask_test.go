package blueprint

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Whoever starts something is asked for what they can decide, and for nothing else.
func TestParameters(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocity.yml": "parameters: [{name: site, default: main}, {name: level, default: root}]\n",
		".velocityci/blueprints/a.yml": `parameters:
- {name: level, description: How much, default: quick, otherOptions: [full, none]}
- {name: who}
- {name: note, default: "by ${git.branch}"}
- {name: key, secret: true}
- {use: tools/version, exports: {v: version}}
matrix: {os: [linux, darwin], include: [{os: plan9}]}
steps: [{type: run, command: make, secrets: [key]}]
`,
		".velocityci/blueprints/b.yml": `parameters:
- {name: level, default: full, otherOptions: [none]}
- {name: who, description: Whom}
- {name: key}
steps: [{type: run, command: make}]
`,
		".velocityci/blueprints/broken.yml": "steps: [{type: walk}]\n",
		".velocityci/pipelines/both.yml":    "stages: [{blueprints: [{name: a, parameters: {os: linux, who: ada}}, b]}]\n",
		".velocityci/pipelines/maybe.yml":   "stages: [{blueprints: [{name: b, when: 'git.tag != \"\"'}]}]\n",
		".velocityci/pipelines/b.yml":       "stages: [{blueprints: [a]}]\n",
	})
	if len(findings) != 1 {
		t.Fatalf("findings: %v", findings)
	}
	level := Parameter{Name: "level", Description: "How much", Defaults: []string{"quick"}, Options: []string{"quick", "full", "none"}}
	site := Parameter{Name: "site", Defaults: []string{"main"}}
	note := Parameter{Name: "note", Defaults: []string{"by ${git.branch}"}}
	both := level
	both.Defaults, both.Options = []string{"quick", "full"}, []string{"full", "none"}
	for name, want := range map[string][]Parameter{
		"a": {
			site, level, {Name: "os", All: true, Options: []string{"linux", "darwin", "plan9"}}, {Name: "who", Required: true}, note,
		},
		"both": {
			site, both, {Name: "os", Defaults: []string{"linux"}, Options: []string{"linux", "darwin", "plan9"}},
			{Name: "who", Description: "Whom", Defaults: []string{"ada"}, Required: true}, note,
		},
		"maybe": {site, {Name: "level", Defaults: []string{"full"}, Options: []string{"full", "none"}}, {Name: "who", Description: "Whom"}, {Name: "key"}},
	} {
		got, err := c.Parameters(name)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	alone, err := c.Parameters("b") // as Draw has it: the pipeline
	if ofA, _ := c.Parameters("a"); err != nil || !cmp.Equal(alone, ofA) {
		t.Errorf("b: %v, %v", alone, err)
	}
	var wrong Findings
	if got, err := c.Parameters("broken"); !errors.As(err, &wrong) {
		t.Errorf("of a blueprint with a mistake: %v, %v", got, err)
	}
}

// What is asked for is what a plan needs, and what it takes.
func TestParametersAreWhatDrawTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, _, err := Load(repository().Draw(t, "repository"))
		if err != nil {
			t.Fatal(err)
		}
		name := rapid.SampledFrom([]string{"p", "b0", "b1", "nothing"}).Draw(t, "name")
		req := request(name, commit())
		_, refused := c.Draw(req)
		list, err := c.Parameters(name)
		if err != nil {
			if refused == nil || refused.Error() != err.Error() {
				t.Fatalf("Parameters() = %v; Draw() = %v", err, refused)
			}
			return
		}
		var missing *MissingError
		errors.As(refused, &missing)
		for _, p := range list {
			needed := missing != nil && slices.ContainsFunc(missing.Parameters, func(m Missing) bool { return m.Name == p.Name })
			if p.Required && missing != nil && !needed {
				t.Fatalf("%s is not needed: %v", p.Name, refused)
			}
		}
		req.Given = map[string]string{}
		for _, p := range list {
			req.Given[p.Name] = "v"
			if len(p.Options) > 0 {
				req.Given[p.Name] = rapid.SampledFrom(p.Options).Draw(t, p.Name)
			}
		}
		_, err = c.Draw(req)
		var unknown *UnknownNameError
		var value *ValueError
		switch {
		case errors.As(err, &unknown):
			t.Fatalf("%v is not taken: %v", req.Given, err)
		case errors.As(err, &value):
			return // values that no task has together, or that no task allows
		case errors.As(err, &missing):
			if i := slices.IndexFunc(missing.Parameters, func(m Missing) bool { return !m.Secret }); i >= 0 {
				t.Fatalf("%s was not asked for", missing.Parameters[i].Name)
			}
		}
	})
}
