package app_test

import (
	"crypto/rand"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/builder/require"
)

// A pull request of a fork waits until somebody who may write approves it, runs on
// a builder for such code alone, by the base's configuration, and without secrets.
func TestGitHubFork(t *testing.T) {
	const canary = "canary-97d1c0aa"
	w := newTown(t, forgetest.GitHubOptions{})
	image := busyboxOf(t)
	w.builder("b1", "--executor", "host")
	w.repo.Role("rita", "read")
	w.repo.Role("wendy", "write")
	w.tell(canary, "secret", "set", "deploy_key", "--repository", "octo/world", "--config", filepath.Join(w.home, "server.yml"))
	f := w.pipeline()
	f[".velocityci/pipelines/default.yml"] = "on: {pull_request: {}}\nstages:\n- {name: test, blueprints: [unit]}\n- {name: deploy, blueprints: [{name: deploy, ignoreErrors: true}]}\n"
	f[".velocityci/blueprints/unit.yml"] = fmt.Sprintf("steps: [{type: run, image: %s, script: 'echo of the base'}]\n", image)
	f[".velocityci/blueprints/deploy.yml"] = fmt.Sprintf("parameters: [{name: deploy_key, secret: true}]\nsteps: [{type: run, image: %s, secrets: [deploy_key], script: 'echo $deploy_key'}]\n", image)
	w.push("main", f)

	fork := w.repo.Fork(t, "mallory")
	head := fork.Push(t, "topic", forgetest.Change{Author: "mallory", Files: files{
		".velocityci/pipelines/default.yml": "on: {pull_request: {}}\nstages: [{name: evil, blueprints: [unit]}]\n",
		".velocityci/blueprints/unit.yml":   "steps: [{type: run, script: 'echo of the fork'}]\n",
	}})
	pull := w.repo.OpenPull(t, forgetest.PullOptions{Branch: "topic", From: fork, Author: "mallory"})
	c := w.is(head, "action_required")
	if got := strings.Join(labels(c), ", "); got != "Approve, Cancel" {
		t.Errorf("the buttons are %q; want Approve and Cancel", got)
	}
	w.hub.Click(t, c.ID, "approve", "rita")
	w.notes("refused: rita may not write to octo/world")
	pull.Comment("mallory", "/velocity approve "+head)
	w.notes("refused: mallory may not write to octo/world")
	pull.Comment("wendy", "/velocity approve")
	w.notes("refused: of a fork, the commit has to be named")
	if begun := w.starts(); begun != 0 {
		t.Errorf("%d tasks were given to builders before the approval", begun)
	}

	w.hub.Click(t, c.ID, "approve", "wendy")
	w.check(head, defaultCheck, func(c forgetest.CheckRun) bool { return c.Status == "queued" })
	w.builder("u1", "--untrusted", "--engine-floor", "off") // whatever engine is here
	c = w.is(head, "success")
	if strings.Contains(c.Summary, "evil") || strings.Contains(c.Summary, "`b1`") || !strings.Contains(c.Summary, "`u1`") ||
		!strings.Contains(c.Summary, "not granted") {
		t.Errorf("want a build of the stages of the base by u1, with a secret that was not granted; it is\n%s", c.Summary)
	}
	for _, call := range w.hub.Calls() {
		if strings.Contains(string(call.Body), canary) {
			t.Errorf("%s %s told the secret", call.Method, call.Path)
		}
	}
}

// However an approval and a push meet: what nobody approved is not begun.
func TestGitHubForkRace(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	w.push("main", w.onPull())
	fork := w.repo.Fork(t, "mallory")
	change := func(i int) string {
		return fork.Push(t, "topic", forgetest.Change{Author: "mallory", Files: files{"n": fmt.Sprint(i)}})
	}
	head := change(0)
	pull := w.repo.OpenPull(t, forgetest.PullOptions{Branch: "topic", From: fork, Author: "mallory"})
	var unseen []string // heads that nobody approved as long as they were the head
	for i := range 10 {
		old := head
		if i%2 == 0 {
			pull.Comment("octo", "/velocity approve "+old)
			head = change(i + 1)
			continue
		}
		head = change(i + 1)
		pull.Comment("octo", "/velocity approve "+old)
		unseen = append(unseen, old)
	}
	w.quiet()
	w.is(head, "action_required")
	for _, sha := range append(unseen, head) {
		for _, c := range w.hub.Checks(sha) {
			if !strings.HasSuffix(c.ExternalID, "/approval") && c.Conclusion != "cancelled" {
				t.Errorf("%s was let in: %s %s %q", sha, c.Status, c.Conclusion, c.Title)
			}
		}
	}
	if begun := w.starts(); begun != 0 {
		t.Errorf("%d tasks were given to a builder that is not for strangers", begun)
	}
}

// starts counts the tasks that were given to builders.
func (w *town) starts() int { return strings.Count(w.said.text(), "from=ready to=scheduled") }

// busyboxOf makes an image with nothing in it but busybox.
func busyboxOf(t *testing.T) string {
	t.Helper()
	require.Have(t, "docker", dockerMissing())
	root, name := t.TempDir(), "velocity-story:"+strings.ToLower(rand.Text())
	err := busyboxTree(root)
	if err == nil {
		err = exec.Command("sh", "-c", `tar -C "$1" -c . | docker import - "$2"`, "sh", root, name).Run()
	}
	if err != nil {
		t.Fatalf("make an image: %v", err)
	}
	t.Cleanup(func() {
		if err := exec.Command("docker", "image", "rm", "--force", name).Run(); err != nil {
			t.Errorf("remove the image: %v", err)
		}
	})
	return name
}
