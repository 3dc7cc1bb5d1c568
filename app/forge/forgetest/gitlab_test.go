package forgetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/builder/require"
)

// A labStage is a fake GitLab with a project, and somebody who owns both.
type labStage struct {
	*GitLab
	p     *Project
	token *LabToken
	head  string
}

func newLab(t *testing.T, o GitLabOptions) *labStage {
	t.Helper()
	o.Dir = t.TempDir()
	s := &labStage{GitLab: must[*GitLab](t)(NewGitLab(o))}
	t.Cleanup(s.Close)
	s.p = s.CreateProject(t, "acme/anvil", ProjectOptions{Private: true})
	s.head = s.p.Push(t, "main", Change{Files: map[string]string{"a": "1"}})
	s.p.Member("root", 50, time.Time{})
	s.Admin("root")
	s.token = s.Token("root", "api")
	return s
}

// ask calls the API, and returns the status and the answer.
func (s *labStage) ask(t *testing.T, method, path string, body any) (int, string) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req := must[*http.Request](t)(http.NewRequestWithContext(within(t), method, s.URL()+"/api/v4"+path, bytes.NewReader(raw)))
	req.Header.Set("Private-Token", s.token.Value)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, string(must[[]byte](t)(io.ReadAll(resp.Body)))
}

// listen makes a webhook of the project, or a system hook, for all events.
func (s *labStage) listen(t *testing.T, project bool, url string) {
	t.Helper()
	path := "/hooks"
	body := object{"url": url, "token": "s3cret", "repository_update_events": true}
	if project {
		path, body = fmt.Sprintf("/projects/%d/hooks", s.p.ID()), object{"url": url, "token": "s3cret", "note_events": true}
	}
	for _, kind := range []string{"push_events", "tag_push_events", "merge_requests_events"} {
		body[kind] = true
	}
	if status, answer := s.ask(t, http.MethodPost, path, body); status != http.StatusCreated {
		t.Fatalf("make a webhook: %d %s", status, answer)
	}
}

// listener is the address of somebody who takes all webhooks.
func listener(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(server.Close)
	return server.URL
}

// told are the deliveries so far, as "header event action".
func (s *labStage) told(t *testing.T) []string {
	t.Helper()
	if err := s.Hooks.Settle(within(t)); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range s.Hooks.Log() {
		var body struct {
			Event      string `json:"event_name"`
			Attributes struct{ Action string }
		}
		var merge struct {
			Attributes struct{ Action string } `json:"object_attributes"`
		}
		if json.Unmarshal(d.Body, &body) != nil || json.Unmarshal(d.Body, &merge) != nil {
			t.Fatalf("body of %s: %s", d.Event, d.Body)
		}
		all = append(all, strings.Join(strings.Fields(d.Event+" "+body.Event+" "+merge.Attributes.Action), " "))
	}
	return all
}

func TestLabTellsOfPushes(t *testing.T) {
	t.Parallel()
	s := newLab(t, GitLabOptions{})
	s.listen(t, true, listener(t))
	s.listen(t, false, listener(t))
	s.p.ForcePush(t, "main", "", Change{Files: map[string]string{"a": "2"}})
	s.p.PushAnnotatedTag(t, "v1", s.head, "one")
	s.p.PushRefs(t, "root", map[string]string{
		"refs/heads/a": s.head, "refs/heads/b": s.head, "refs/heads/c": s.head, "refs/heads/d": s.head, "refs/tags/v1": "",
	})
	s.p.Rename("hammer")
	s.p.Transfer("emca")
	s.p.Archive()
	s.p.Delete()
	want := []string{
		"Push Hook push", "System Hook push", "System Hook repository_update",
		"Tag Push Hook tag_push", "System Hook tag_push", "System Hook repository_update",
		"Tag Push Hook tag_push", "System Hook tag_push", "System Hook repository_update", // of four branches nobody is told
		"System Hook project_rename", "System Hook project_transfer", "System Hook project_update", "System Hook project_destroy",
	}
	if diff := cmp.Diff(want, s.told(t)); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	var tag struct {
		After    string
		Checkout string `json:"checkout_sha"`
	}
	log := s.Hooks.Log()
	if err := json.Unmarshal(log[3].Body, &tag); err != nil || tag.After == s.head || tag.Checkout != s.head {
		t.Errorf("a tag with a message is %+v, %v", tag, err)
	}
	if h := log[0].Header; h.Get("X-Gitlab-Token") != "s3cret" || h.Get("Idempotency-Key") == "" || h.Get("X-Gitlab-Event") != "Push Hook" {
		t.Errorf("header %v", h)
	}
}

func TestLabTellsOfMergeRequests(t *testing.T) {
	t.Parallel()
	s := newLab(t, GitLabOptions{})
	s.listen(t, true, listener(t))
	fork := s.p.Fork(t, "runner")
	fork.Push(t, "x", Change{Files: map[string]string{"x": "1"}})
	m := s.p.OpenMerge(t, MergeOptions{Branch: "x", From: fork, Author: "runner", Draft: true})
	fork.Push(t, "x", Change{Files: map[string]string{"x": "2"}})
	m.Label("root", "ci")
	m.Comment("root", "/velocity rerun")
	m.Ready("root")
	m.Retarget("root", "main")
	m.Close("root")
	m.Reopen("root")
	m.Merge(t, "root")
	got := s.told(t)
	want := []string{
		"Merge Request Hook open", "Merge Request Hook update", "Merge Request Hook update", "Note Hook create",
		"Merge Request Hook update", "Merge Request Hook update", "Merge Request Hook close", "Merge Request Hook reopen",
		"Push Hook push", "Merge Request Hook merge",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	if got := s.Commands(); !slices.Equal(got, []string{"/velocity"}) {
		t.Errorf("commands %q", got)
	}
	if ref, err := s.p.Bare().Resolve("refs/merge-requests/1/head"); err != nil || ref != m.Head() {
		t.Errorf("the head's ref is %s, %v; want %s", ref, err, m.Head())
	}
	var update struct {
		Attributes struct{ OldRev string } `json:"object_attributes"`
	}
	if err := json.Unmarshal(s.Hooks.Log()[1].Body, &update); err != nil || update.Attributes.OldRev == "" {
		t.Errorf("new code without what was there: %v", err)
	}
}

// What the fake sends has every field that was recorded of a real one, as far as
// anybody could use it.
func TestLabPayloadsAreAsRecorded(t *testing.T) {
	t.Parallel()
	data := require.ForgeData(t)
	s := newLab(t, GitLabOptions{Data: data})
	s.listen(t, true, listener(t))
	s.listen(t, false, listener(t))
	s.p.Push(t, "x", Change{Files: map[string]string{"x": "1"}})
	s.p.PushAnnotatedTag(t, "v1", s.head, "one")
	m := s.p.OpenMerge(t, MergeOptions{Branch: "x"})
	m.Comment("root", "hi")
	s.p.Rename("hammer")
	s.told(t)
	for n, recording := range map[int]string{
		0: "push--branch-update", 1: "system--push", 2: "system--repository_update", 3: "tag_push--annotated-after-is-tag-object",
		6: "system--merge_request-no-action", 7: "merge_request--open", 8: "note--merge-request-2", 9: "system--project_rename",
	} {
		raw := must[[]byte](t)(os.ReadFile(filepath.Join(data, "gitlab", recording+".json")))
		var want, got object
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(s.Hooks.Log()[n].Body, &got); err != nil {
			t.Fatal(err)
		}
		for _, missing := range lacks(want, got, "") {
			t.Errorf("%s: nothing for %s", recording, missing)
		}
	}
}

// unused are fields that the fake leaves out.
var unused = []string{
	"approval_rules", "assignee", "reviewer", "milestone_id", "description", "merge_", "updated_by_id", "last_edited", "time_", "human_",
	"total_time", "state_id", "head_pipeline_id", "lock_version", "ref_fetched", "in_progress", "deleted_at", "first_contribution", "blocking_", "detailed_",
	"attachment", "line_code", "st_diff", "type", "position", "original_position", "resolved", "change_position", "discussion_id", "visibility_level",
	"git_", "prepared_at", "label_ids", "labels", "oldrev", "commits", "message", "changes", "checkout", "url", "namespace",
}

// lacks lists the fields of an object that another does not have.
func lacks(want, got object, at string) []string {
	var all []string
	for _, key := range sortedKeys(want) {
		if slices.ContainsFunc(unused, func(u string) bool { return strings.HasPrefix(key, u) }) {
			continue
		}
		value, ok := got[key]
		if !ok {
			all = append(all, at+key)
			continue
		}
		inner, deep := want[key].(object)
		if have, _ := value.(object); deep && value != nil {
			all = append(all, lacks(inner, have, at+key+".")...)
		}
	}
	return all
}

func TestLabHooksSign(t *testing.T) {
	t.Parallel()
	s := newLab(t, GitLabOptions{})
	s.listen(t, true, listener(t))
	s.Sign(t, s.AllHooks(s.p)[0].ID, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	s.p.Push(t, "main", Change{Files: map[string]string{"a": "2"}})
	s.told(t)
	d := s.Hooks.Log()[0]
	if d.Header.Get("X-Gitlab-Token") != "" || d.Header.Get("Webhook-Id") != d.Header.Get("Idempotency-Key") {
		t.Errorf("header %v", d.Header)
	}
	want := "v1," + standardSign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", d.GUID+"."+d.Header.Get("Webhook-Timestamp")+"."+string(d.Body))
	if d.Header.Get("Webhook-Signature") != want {
		t.Errorf("signature %s; want %s", d.Header.Get("Webhook-Signature"), want)
	}
	// The example of the Standard Webhooks specification.
	if got := standardSign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", `msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}`); got != "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("the specification's own example has signature %s", got)
	}
}
