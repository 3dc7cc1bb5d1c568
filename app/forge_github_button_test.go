package app_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// What GitHub's own buttons and ours do, and for whom.
func TestGitHubButtons(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	w.repo.Role("rita", "read")
	mended := filepath.Join(w.home, "mended")
	sha := w.push("main", files{".velocityci/blueprints/pack.yml": "steps: [{type: run, script: 'test -e " + mended + "'}]\n"})
	failed := w.is(sha, "failure")

	w.hub.RerunCheck(t, failed.ID, "rita")
	w.hub.Click(t, failed.ID, "rerun-failed", "rita")
	w.repo.RerunChecks(t, sha, "rita")
	w.hub.RerunCheck(t, w.repo.OtherCheck(sha, "other", failed.ExternalID), "octo")
	w.quiet()
	if n := strings.Count(w.said.text(), "refused: rita may not write to octo/world"); n != 3 {
		t.Errorf("rita was refused %d times; want 3", n)
	}
	if n := len(w.hub.Checks(sha)); n != 1 {
		t.Errorf("%d check runs; want the one that failed", n)
	}

	w.keep("mended", "")
	w.hub.Click(t, failed.ID, "rerun-failed", "octo")
	rest := w.is(sha, "success")
	if !strings.Contains(rest.Summary, "reused") {
		t.Errorf("nothing of the first build was kept:\n%s", rest.Summary)
	}
	w.hub.RerunCheck(t, rest.ID, "octo")
	again := w.after(rest)
	if strings.Contains(again.Summary, "reused") {
		t.Errorf("a re-run kept something:\n%s", again.Summary)
	}
	w.repo.RerunChecks(t, sha, "octo")
	w.after(again)
}

// A build ends that somebody with a right to it wants to end.
func TestGitHubCancel(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	head := w.push("topic", files{"hold": ""})
	pull := w.repo.OpenPull(t, forgetest.PullOptions{Branch: "topic", Author: "octo"})
	w.runs(head)
	pull.Comment("rita", "/velocity cancel")
	w.notes("refused: rita may not write to octo/world")
	pull.Comment("octo", "> /velocity cancel")
	pull.Comment("octo", "/velocity cancel")
	if c := w.is(head, "cancelled"); !strings.HasPrefix(c.Title, "Canceled: canceled by octo (github ") {
		t.Errorf("title %q; want that octo canceled it", c.Title)
	}
}

// after waits until the check run that came after another one succeeded.
func (w *town) after(old forgetest.CheckRun) forgetest.CheckRun {
	w.t.Helper()
	return w.check(old.SHA, old.Name, func(c forgetest.CheckRun) bool { return c.ID > old.ID && concluded("success")(c) })
}
