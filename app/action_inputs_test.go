package app_test

import (
	"strings"
	"testing"
)

// Wrong inputs are errors of the step that name the input and what it can be, and
// show no value of a parameter.
func TestActionInputs(t *testing.T) {
	t.Parallel()
	files := one("true")
	files[".velocityci/pipelines/release.yml"] = "stages: [{name: s, blueprints: [default]}]\n"
	s := newStep(t, files)
	for _, tt := range []struct {
		input, value string
		words        []string
	}{
		{"NAME", "relaese", []string{`input name: there is no pipeline or blueprint "relaese"`, "there are release, default"}},
		{"EXECUTOR", "podman", []string{`input executor: "podman"`, "host, docker"}},
		{"RECORD", "yes", []string{`input record: "yes"`, "false, true"}},
		{"PUBLISH", "all", []string{`input publish: "all"`, "notes, builds, none"}},
		{"PARAMETERS", "a=1\ncanary-7Hq2", []string{"input parameters: line 2 "}},
		{"PARAMETERS", "a=1\n =canary-7Hq2", []string{"input parameters: line 2 "}},
		{"PARAMETERS", "a=canary-7Hq2\n\na=canary-7Hq2", []string{"input parameters: line 3 gives a a second time"}},
		{"PARAMETERS", "a<<END\ncanary-7Hq2", []string{"input parameters: the value that begins in line 1 has no end"}},
		{"PARAMETERS", "unknown=x", []string{`no parameter "unknown"`}},
	} {
		r := s.run(map[string]string{"INPUT_" + tt.input: tt.value})
		errs := r.log.All("error")
		if r.status != 2 || len(errs) != 1 || len(r.outputs) > 0 {
			t.Errorf("%s=%q: status %d, %s", tt.input, tt.value, r.status, r.raw)
			continue
		}
		has(t, tt.input, errs[0].Properties["title"]+"\n"+errs[0].Data, tt.words...)
		hasNot(t, tt.input, strings.ReplaceAll(r.raw, "::add-mask::canary-7Hq2", ""), "canary")
	}
	s.run(map[string]string{"INPUT_NAME": " release ", "INPUT_EXECUTOR": "host", "INPUT_RECORD": "False"}).check(t, 0, succeeded)
}

// What keeps a build from being made is an error of the step, too.
func TestActionCannotBegin(t *testing.T) {
	t.Parallel()
	s := newStep(t, map[string]string{".velocityci/blueprints/default.yml": "steps:\n  - {type: rnu}\n"})
	r := s.run(nil)
	r.check(t, 2, map[string]string{})
	errs := r.log.All("error")
	if len(errs) != 1 || errs[0].Properties["file"] != ".velocityci/blueprints/default.yml" || errs[0].Properties["line"] != "2" {
		t.Errorf("errors %v", errs)
	}

	s = newStep(t, one("true"))
	s.write(map[string]string{"changed": "x"})
	r = s.run(map[string]string{"INPUT_RECORD": "true"})
	r.check(t, 2, map[string]string{})
	has(t, "the error", r.raw, "::error title=the work tree has changes that are not committed (changed%2C")

	r = s.run(map[string]string{"GITHUB_WORKSPACE": ""})
	r.check(t, 2, map[string]string{})
	has(t, "the error", r.raw, "velocity run builds here")

	r = s.run(map[string]string{"GITHUB_EVENT_PATH": s.path("gone.json")})
	r.check(t, 3, map[string]string{})
}
