package app_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/app/forge/github"
)

// docs/github.md lists exactly what the App asks its owners for, and why.
func TestGitHubNeedsAreDocumented(t *testing.T) {
	var want [][]string
	for _, n := range github.Needs {
		access := n.Access
		if n.Event {
			access = "event"
		}
		if n.Optional {
			access += ", optional"
		}
		want = append(want, []string{n.Name, access, n.Reason})
	}
	var got [][]string
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ((?:read|write|event)(?:, optional)?) \\| (.*) \\|$")
	for _, m := range row.FindAllStringSubmatch(readText(t, "docs/github.md"), -1) {
		got = append(got, m[1:])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of docs/github.md (-needs +page):\n%s", diff)
	}
}

// The commands of docs/gitlab.md keep the token and a secret for the server's user
// alone, and make a webhook of GitLab that has them.
func TestGitLabPageConnects(t *testing.T) {
	w := foundVillage(t, forgetest.GitLabOptions{})
	w.keep("velocity-server.yml", fmt.Sprintf("url: %s\nlisten: 127.0.0.1:0\ngitlab: {url: %s, token: gitlab-token, secret: gitlab-secret}\n",
		w.road.URL, w.lab.URL()))
	script := strings.NewReplacer("/etc/velocity/", "", "group/project", w.project.Path()).Replace(commandsOf(t, "docs/gitlab.md"))
	w.keep("page.sh", script)
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "page.sh") //nolint:forbidigo // as people run it
	cmd.Dir, cmd.Stdin = w.home, strings.NewReader(w.token.Value+"\n")
	cmd.Env = []string{"HOME=" + w.home, "PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`^GitLab calls \S+/hooks/gitlab for group/world \(webhook \d+\)\n$`).Match(out) {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, name := range []string{"gitlab-token", "gitlab-secret"} {
		info, err := os.Stat(filepath.Join(w.home, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want it readable by its owner alone", name, info, err)
		}
	}
	hooks := w.lab.AllHooks(w.project)
	if len(hooks) != 1 || hooks[0].URL != w.road.URL+"/hooks/gitlab" || hooks[0].Token+"\n" != w.read("gitlab-secret") {
		t.Errorf("the project has the webhooks %+v", hooks)
	}
}
