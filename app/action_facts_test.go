package app_test

import (
	"os"
	"path/filepath"
	"testing"
)

const facts = `echo "branch=[$VELOCITY_GIT_BRANCH] tag=[$VELOCITY_GIT_TAG] sha=$VELOCITY_GIT_COMMIT_SHA_LONG"`

// On a commit that is checked out as such the branch or tag is the one that the
// workflow runs for; on any other commit there is none.
func TestActionKnowsRef(t *testing.T) {
	t.Parallel()
	s := newStep(t, one(facts))
	sha := s.env["GITHUB_SHA"]
	hostile := "refs/heads/$(touch x);`id`::error::"
	for _, tt := range []struct {
		ref, sha, want string
	}{
		{"refs/heads/main", sha, "branch=[main] tag=[] sha=" + sha},
		{"refs/tags/v1.2", sha, "branch=[] tag=[v1.2] sha=" + sha},
		{"refs/pull/7/merge", sha, "branch=[] tag=[] sha=" + sha},
		{hostile, sha, "branch=[" + hostile[len("refs/heads/"):] + "]"},
		{"refs/heads/main", "0123456789012345678901234567890123456789", "branch=[] tag=[]"},
	} {
		r := s.run(map[string]string{"GITHUB_REF": tt.ref, "GITHUB_SHA": tt.sha})
		r.check(t, 0, succeeded)
		has(t, tt.ref, r.log.In("default"), tt.want)
		if len(r.log.All("error")) > 0 {
			t.Errorf("%s gave %s", tt.ref, r.raw)
		}
	}
	if _, err := os.Stat(filepath.Join(s.workspace, "x")); err == nil {
		t.Error("a branch's name was run")
	}
	s.git("checkout", "-q", "-b", "topic")
	r := s.run(nil)
	has(t, "a branch that is checked out", r.log.In("default"), "branch=[topic]")
}

// A pull request is compared with what it is for as far as the checkout has it.
func TestActionComparesPullRequests(t *testing.T) {
	t.Parallel()
	s := newStep(t, map[string]string{
		".velocityci/pipelines/default.yml": `stages:
  - name: all
    blueprints:
      - {name: code, when: 'changed("src/**")'}
      - {name: docs, when: 'changed("docs/**")'}
`,
		".velocityci/blueprints/code.yml": "steps: [{type: run, command: echo code was built}]\n",
		".velocityci/blueprints/docs.yml": "steps: [{type: run, command: echo docs were built}]\n",
		"src/a":                           "1", "docs/a": "1",
	})
	base := s.env["GITHUB_SHA"]
	s.write(map[string]string{"docs/a": "2"})
	head := s.commit("change the docs")
	s.git("checkout", "-q", "--detach", base)
	s.write(map[string]string{"src/a": "2"})
	main := s.commit("meanwhile on main")
	s.git("merge", "-q", "--no-ff", "-m", "merge", head)
	merge := s.git("rev-parse", "HEAD")
	s.event(map[string]any{"number": 7, "pull_request": map[string]any{"title": "::error::gotcha", "head": map[string]any{"sha": head}}})
	env := map[string]string{
		"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_SHA": merge, "GITHUB_BASE_REF": "main", "GITHUB_HEAD_REF": "topic",
	}
	compared := func(what, with string) {
		t.Helper()
		r := s.run(env)
		r.check(t, 0, succeeded)
		if with == "" {
			has(t, what, r.raw, "code was built", "docs were built", "everything counts as changed", "fetch-depth: 2")
			return
		}
		has(t, what, r.raw, "docs were built", "compared with "+with[:7])
		hasNot(t, what, r.raw, "code was built")
	}
	compared("GitHub's merge", main)

	s.git("checkout", "-q", "--detach", head)
	compared("the head without the target", "")
	s.git("update-ref", "refs/remotes/origin/main", main)
	compared("the head", base)

	s.git("checkout", "-q", "--detach", merge)
	whole := s.workspace
	s.workspace, s.env["GITHUB_WORKSPACE"] = s.path("shallow"), s.path("shallow")
	gitAt(t, s.folder, "clone", "-q", "--depth=1", "file://"+whole, "shallow")
	s.git("checkout", "-q", "--detach")
	compared("a shallow clone", "")
}
