package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/workflow"
)

// Tasks that run at the same time are shown one after the other, a group for each
// step, and nothing that they print speaks to the runner.
func TestActionGroups(t *testing.T) {
	t.Parallel()
	s := newStep(t, map[string]string{
		".velocityci/pipelines/default.yml": "stages:\n  - {name: both, blueprints: [a, b]}\n",
		".velocityci/blueprints/a.yml": `steps:
  - {type: run, description: "first ::error::", script: "echo a-one; echo x >ping; cat pong; printf '::set-output name=outcome::mine\\n::endgroup::\\n##[endgroup]\\n::stop-commands::x\\n'"}
  - {type: run, description: "##[error]second", script: "echo a-two; echo '::add-mask::a-two'"}
`,
		".velocityci/blueprints/b.yml": `steps:
  - {type: run, description: only, script: "echo b-one; cat ping; echo x >pong; echo b-two; echo '::error file=b::gotcha'"}
`,
	})
	for _, name := range []string{"ping", "pong"} {
		if err := syscall.Mkfifo(filepath.Join(s.workspace, name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r := s.run(nil)
	r.check(t, 0, succeeded)
	for title, want := range map[string]string{
		"a: first ::error::: succeeded":  "a-one\nx\n::set-output name=outcome::mine\n::endgroup::\n## [endgroup]\n::stop-commands::x\n",
		"a: ## [error]second: succeeded": "a-two\n::add-mask::a-two\n",
		"b: only: succeeded":             "b-one\nx\nb-two\n::error file=b::gotcha\n",
	} {
		if diff := cmp.Diff(want, r.log.In(title)); diff != "" {
			t.Errorf("group %q (-want +got):\n%s\n%s", title, diff, r.raw)
		}
	}
	for _, c := range r.log.Commands {
		if c.Name != "group" && c.Name != "endgroup" {
			t.Errorf("the log gave the command %v", c)
		}
	}
	has(t, "the summary", r.summary, "Velocity: success", "| `both` | `a` | succeeded", "```text", "2/2 tasks")
	if left, _ := os.ReadDir(s.path("temp")); len(left) > 0 {
		t.Errorf("files are left behind: %v", left)
	}
}

// Secrets are hidden before anything else is said, line by line, and steps see
// nothing of what is the action's alone.
func TestActionSecrets(t *testing.T) {
	t.Parallel()
	files := map[string]string{".velocityci/blueprints/default.yml": `parameters: [{name: key, secret: true}, {name: who}]
steps:
  - {type: run, secrets: [key], script: 'echo "key: $key"; echo "for $who"; env | cut -d= -f1'}
`}
	s := newStep(t, files)
	key := "-----BEGIN-----\nsecond-line-of-it\n}\n"
	r := s.run(map[string]string{"INPUT_PARAMETERS": "who=the world\r\n\n  key<<END\n" + key + "END\n", "GH_TOKEN": "ghp_other"})
	r.check(t, 0, succeeded)
	var masks []string
	for _, c := range r.log.All("add-mask") {
		masks = append(masks, c.Data)
	}
	if diff := cmp.Diff([]string{strings.TrimSpace(key), "-----BEGIN-----", "second-line-of-it"}, masks); diff != "" {
		t.Errorf("masks (-want +got):\n%s", diff)
	}
	first := slices.IndexFunc(strings.Split(r.raw, "\n"), func(line string) bool { return !strings.HasPrefix(line, "::add-mask::") })
	if first != len(masks) {
		t.Errorf("line %d is said before the masks:\n%s", first, r.raw)
	}
	shown := r.log.In("default")
	has(t, "the log", shown, "key: ***", "for the world", "\nPATH\n", "VELOCITY_GIT_BRANCH", "RUNNER_OS")
	hasNot(t, "the log", shown, "INPUT_", "GITHUB_", "ACTIONS_", "GH_TOKEN", "GIT_CONFIG")

	// One that is refused is not shown either.
	r = s.run(map[string]string{"INPUT_PARAMETERS": "key=canary-7Hq2-hunter2\nnobody=else"})
	r.check(t, 2, map[string]string{})
	if masks := r.log.All("add-mask"); len(masks) != 1 || masks[0].Line != 0 {
		t.Errorf("masks %v", masks)
	}
	has(t, "the error", fmt.Sprint(r.log.All("error")), "nobody")
}

// Findings of test reports and compilers are annotations as far as the runner takes
// them, and all of them are in the summary.
func TestActionFindings(t *testing.T) {
	t.Parallel()
	var cases, lines strings.Builder
	for i := range 12 {
		fmt.Fprintf(&cases, `<testcase classname="shop" name="Test%02d"><failure message="Failed">cart_test.go:%d: got, 100%%: wrong</failure></testcase>`, i, i+1)
	}
	fmt.Fprint(&lines, "echo 'main.c:3:5: warning: 50% of x, y: unused'\necho '::error file=main.c::forged'\nexit 4")
	files := one(lines.String())
	files[".velocityci/blueprints/default.yml"] += "reports: {junit: [out.xml]}\n"
	files["out.xml"] = `<testsuite name="shop"><testcase name="ok"/>` + cases.String() + `</testsuite>`
	files["main.c"], files["cart_test.go"] = "", "package cart"
	s := newStep(t, files)
	r := s.run(nil)
	r.check(t, 1, failed)
	errs := r.log.All("error")
	if len(errs) != workflow.MaxAnnotations || errs[0].Data != "default: exit 4" || errs[0].Properties["title"] != "Failed: default" {
		t.Errorf("errors %v", errs)
	}
	if p := errs[1].Properties; p["file"] != "cart_test.go" || p["line"] == "" || !strings.Contains(errs[1].Data, "got, 100%: wrong") {
		t.Errorf("the first test is %v", errs[1])
	}
	if w := r.log.All("warning"); len(w) != 1 || w[0].Properties["col"] != "5" || w[0].Data != "50% of x, y: unused" {
		t.Errorf("warnings %v", w)
	}
	has(t, "the summary", r.summary, "Velocity: failure", "12 failed", "Test11", "3 findings not among the annotations", "`exit 4`", "::error file=main.c::forged")
	if len(r.summary) > 1<<20 {
		t.Errorf("the summary has %d bytes", len(r.summary))
	}
}
