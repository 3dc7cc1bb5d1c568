package app_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// A system hook tells of all projects: of a push to a few refs by its parts, and of one
// to many as a whole.
func TestGitLabSystemHook(t *testing.T) {
	w := foundVillage(t, forgetest.GitLabOptions{})
	w.lab.Admin("velocity")
	w.settle()
	w.serve()
	w.connect("--system")
	w.builder("b1", "--executor", "host")
	one := w.push("main", files{"a": "1"})
	w.is(one, "success")
	refs, all := map[string]string{}, []string{one}
	for i := range 4 {
		at := fmt.Sprint(i)
		sha, err := w.project.Bare().Commit("refs/kept/"+at, one, forgetest.Change{Author: "ann", Files: files{"b": at}})
		if err != nil {
			t.Fatal(err)
		}
		refs["refs/heads/b"+at], all = sha, append(all, sha)
	}
	w.project.PushRefs(t, "ann", refs)
	for _, sha := range all {
		w.is(sha, "success")
	}
	w.quiet()
	for _, sha := range all {
		if n := len(w.project.Statuses(sha)); n != 1 {
			t.Errorf("%d statuses of %s; want one", n, sha)
		}
	}
}

// A system hook tells of merge requests without what happened, and of what becomes of
// projects.
func TestGitLabProjectMoves(t *testing.T) {
	w := foundVillage(t, forgetest.GitLabOptions{})
	w.lab.Admin("velocity")
	w.settle()
	w.serve()
	w.connect("--system")
	w.builder("b1", "--executor", "host")
	w.project.Rename("globe")
	w.says(" msg=delivery ", "repo=group/globe", "action=refresh")
	w.project.Transfer("other")
	w.says(" msg=delivery ", "repo=other/globe", "action=refresh")
	w.push("main", w.onMerge())
	head := w.push("topic", files{"hold": ""})
	m := w.project.OpenMerge(t, forgetest.MergeOptions{Branch: "topic", Author: "ann"})
	w.is(head, "running")
	w.says("msg=trigger", "repo=other/globe", head)
	m.Close("ann")
	w.is(head, "canceled")
	w.project.Delete()
	w.says(" msg=delivery ", "event=\"repository deleted\"")
	w.says("repository is not served any more", "repo=other/globe")
}

// Without a system hook nobody tells that a project has another name but its next push.
func TestGitLabRenameUntold(t *testing.T) {
	w := newVillage(t, forgetest.GitLabOptions{})
	w.builder("b1", "--executor", "host")
	w.project.Rename("globe")
	w.is(w.push("main", files{"a": "1"}), "success")
}

// With a signing key only what is signed with it is believed: not the token that was
// good before.
func TestGitLabSigned(t *testing.T) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	key := "whsec_" + base64.StdEncoding.EncodeToString(raw[:])
	w := foundVillage(t, forgetest.GitLabOptions{})
	w.keep("signing", key)
	w.settle("  signing: signing")
	w.serve()
	w.connect("group/world")
	w.builder("b1", "--executor", "host")
	const body = `{"object_kind": "push"}`
	header := http.Header{"Content-Type": {"application/json"}, "X-Gitlab-Event": {"Push Hook"}, "X-Gitlab-Token": {"a-secret-of-this-village"}}
	if got := w.answer(body, header); got != http.StatusUnauthorized {
		t.Errorf("the token alone is answered with %d; want %d", got, http.StatusUnauthorized)
	}
	w.lab.Sign(t, w.lab.AllHooks(w.project)[0].ID, key)
	w.is(w.push("main", files{"a": "1"}), "success")
}

// A server that GitLab cannot reach asks for what is new: when it starts, and then
// again and again.
func TestGitLabPolled(t *testing.T) {
	w := foundVillage(t, forgetest.GitLabOptions{})
	w.settle("poll: 10s")
	w.serve()
	w.builder("b1", "--executor", "host")
	w.stop()
	pipeline := w.onMerge()
	pipeline[".velocityci/pipelines/default.yml"] = "on: {push: {branches: [main]}, pull_request: {}}\nstages: [{name: test, blueprints: [unit]}]\n"
	pushed := w.push("main", pipeline)
	w.serve()
	w.is(pushed, "success")

	head := w.push("topic", files{"a": "1"})
	w.project.OpenMerge(t, forgetest.MergeOptions{Branch: "topic", Author: "ann"})
	w.says("msg=trigger", "ref=refs/merge-requests/1/head", head)
	w.is(head, "success")
	if sent := w.lab.Hooks.Log(); len(sent) > 0 {
		t.Errorf("%d deliveries were sent; want none", len(sent))
	}
}

// However requests fail: the status comes to say how the build ended, and nothing of it
// is taken back.
func TestGitLabFaults(t *testing.T) {
	lost := map[string][]forgetest.Mishap{
		"refused":    {{Kind: forgetest.Refused}, {Kind: forgetest.Fine}, {Kind: forgetest.Refused}},
		"unanswered": {{Kind: forgetest.Unanswered}, {Kind: forgetest.Unanswered}, {Kind: forgetest.Unanswered}},
		"cut":        {{Kind: forgetest.Cut}, {Kind: forgetest.Fine}, {Kind: forgetest.Cut}},
		"limited":    {{Kind: forgetest.Limited, Status: http.StatusTooManyRequests, RetryAfter: time.Second}, {Kind: forgetest.Cut}},
	}
	for name, mishaps := range lost {
		t.Run(name, func(t *testing.T) {
			faults := forgetest.NewFaults(1, forgetest.Odds{})
			w := newVillage(t, forgetest.GitLabOptions{Faults: faults})
			w.builder("b1", "--executor", "host")
			faults.Inject(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/statuses") }, mishaps...)
			sha := w.push("main", files{"broken": ""})
			w.is(sha, "failed")
			w.quiet()
			if diff := cmp.Diff(1, len(w.states(sha))); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}
