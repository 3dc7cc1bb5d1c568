package app_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// A push is shown as pending, running and over, by one status that GitLab never had
// to refuse.
func TestGitLabPush(t *testing.T) {
	w := newVillage(t, forgetest.GitLabOptions{})
	sha := w.push("main", files{"hold": ""})
	w.is(sha, "pending")
	w.builder("b1", "--executor", "host")
	w.is(sha, "running")
	w.open()
	if s := w.is(sha, "success"); s.Ref != "main" {
		t.Errorf("the status is of %q; want main", s.Ref)
	}
	if diff := cmp.Diff([]string{"pending running success"}, w.states(sha)); diff != "" {
		t.Errorf("the statuses were (-want +got):\n%s", diff)
	}
	w.is(w.push("main", files{"hold": "", "broken": ""}), "running")
	w.open()
	w.is(w.tip("main"), "failed")
}

// A tag is built at the commit that it stands for, whether it has a message or not.
func TestGitLabTags(t *testing.T) {
	w := newVillage(t, forgetest.GitLabOptions{})
	w.builder("b1", "--executor", "host")
	pipeline := w.pipeline()
	pipeline[".velocityci/pipelines/default.yml"] = "on: {push: {tags: ['*']}}\n" + pipeline[".velocityci/pipelines/default.yml"]
	light := w.push("main", pipeline)
	noted := w.push("main", files{"a": "1"})
	w.quiet()
	w.project.PushRefs(t, "ann", map[string]string{"refs/tags/v1": light})
	if s := w.is(light, "success"); s.Ref != "v1" {
		t.Errorf("the status is of %q; want v1", s.Ref)
	}
	w.project.PushAnnotatedTag(t, "v2", noted, "The second")
	if s := w.is(noted, "success"); s.Ref != "v2" {
		t.Errorf("the status is of %q; want v2", s.Ref)
	}
}

// A build that is under way when the server dies goes on with the next one, although
// GitLab is down then: what its builder did meanwhile counts, and its one status is
// taken from running to its end when GitLab is back.
func TestGitLabKilled(t *testing.T) {
	faults := forgetest.NewFaults(1, forgetest.Odds{})
	w := newVillage(t, forgetest.GitLabOptions{Faults: faults})
	w.builder("b1", "--executor", "host")
	w.stop()
	kill := w.spawn()
	sha := w.push("main", files{"hold": ""})
	w.is(sha, "running")
	faults.Set(forgetest.Odds{Refused: 1})
	kill()
	w.open()
	w.serve()
	w.says("msg=move", "task=s1t0", "to=succeeded")
	faults.Set(forgetest.Odds{})
	w.is(sha, "success")
	if got := w.states(sha); len(got) != 1 || !strings.HasSuffix(got[0], "running success") {
		t.Errorf("the statuses were %q; want one that ran and succeeded", got)
	}
	if n := w.recorded(sha); n != 1 {
		t.Errorf("%d builds; want one", n)
	}
	if strings.Contains(w.said.text(), "attempt=2") {
		t.Error("what was done while the server was away was done again")
	}
}
