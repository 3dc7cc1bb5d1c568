package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// pipelineOfHeirs has two stages, each of which needs a secret. The first one waits
// at a FIFO where the commit says so.
func pipelineOfHeirs(fifo string) map[string]string {
	return map[string]string{
		".velocityci/pipelines/default.yml": "on: {push: {branches: [main]}}\nstages:\n- {name: test, blueprints: [unit]}\n- {name: pack, blueprints: [pack]}\n",
		".velocityci/blueprints/unit.yml": fmt.Sprintf(`parameters: [{name: deploy_key, secret: true}]
steps: [{type: run, secrets: [deploy_key], script: 'test -n "$deploy_key"; if grep -q yes waits; then read -r line <%s; fi'}]
`, fifo),
		".velocityci/blueprints/pack.yml": "parameters: [{name: deploy_key, secret: true}]\nsteps: [{type: run, secrets: [deploy_key], script: 'test -n \"$deploy_key\"'}]\n",
		"waits":                           "no",
	}
}

// release waits until a step reads the FIFO, and lets it go on.
func release(ctx context.Context, fifo string) (reading, goOn func() error) {
	opened := make(chan error, 1)
	var to *os.File
	go func() {
		var err error
		to, err = os.OpenFile(fifo, os.O_WRONLY, 0) // returns when there is a reader
		opened <- err
	}()
	return func() error {
			select {
			case err := <-opened:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}, func() error {
			_, err := to.WriteString("go\n")
			return err
		}
}

// A repository is renamed while it is built, and another one is made under its name.
// The first keeps its secret and goes on, also with the build under way; the heir of
// the name does not get it.
func TestGitHubRenameLeavesNothing(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	var said bytes.Buffer
	config := filepath.Join(w.home, "server.yml")
	if status := run(t.Context(), w.home, "canary-of-the-first\n", &said, "secret", "set", "deploy_key", "--repository", "octo/world", "--config", config); status != 0 {
		t.Fatalf("secret set ended with %d: %s", status, &said)
	}
	key := fmt.Sprint("github-", w.repo.ID())
	if want := "secret deploy_key of octo/world (" + key + "): value 1 is kept"; !strings.Contains(said.String(), want) {
		t.Errorf("secret set said %q; want %q", &said, want)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	files := pipelineOfHeirs(fifo)
	files["waits"] = "yes"
	underWay := w.repo.Push(t, "main", forgetest.Change{Author: "octo", Files: files})
	reading, goOn := release(atHome(t), fifo)
	if err := reading(); err != nil {
		t.Fatalf("no step waits: %v", err)
	}

	w.repo.Rename("planet")
	w.wait("hears of the rename", func() bool { return strings.Contains(w.said.text(), "repository renamed") })
	heir := w.hub.CreateRepo(t, "octo/world", forgetest.RepoOptions{})
	heir.Push(t, "main", forgetest.Change{Author: "octo", Files: map[string]string{"empty": ""}})
	w.in.Add(t, heir)
	w.wait("serves the heir", func() bool { return strings.Contains(w.said.text(), fmt.Sprint("key=github-", heir.ID())) })
	sha := heir.Push(t, "main", forgetest.Change{Author: "octo", Files: pipelineOfHeirs(fifo)})
	c := w.check(sha, defaultCheck, func(c forgetest.CheckRun) bool { return c.Status == "completed" })
	if text := c.Title + c.Summary + c.Text; c.Conclusion != "failure" || !strings.Contains(text, "no value for the parameters deploy_key") {
		t.Errorf("the heir's build is a %s: %s", c.Conclusion, text)
	}

	if err := goOn(); err != nil {
		t.Fatal(err)
	}
	w.check(underWay, defaultCheck, concluded("success"))
	w.check(w.repo.Push(t, "main", forgetest.Change{Author: "octo", Files: map[string]string{"waits": "no"}}), defaultCheck, concluded("success"))
	var all []api.Secret
	if err := json.Unmarshal([]byte(w.must("secret", "list", "--json", "--config", config)), &all); err != nil || len(all) != 1 || all[0].Of == nil {
		t.Fatalf("secrets are %+v, %v", all, err)
	}
	if want := (api.Bound{Key: key, Name: "octo/planet", Was: "octo/world"}); *all[0].Of != want {
		t.Errorf("the secret is listed as of %+v; want %+v", *all[0].Of, want)
	}
}
