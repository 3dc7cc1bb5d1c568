package forgetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-github/v62/github"
)

// An inbox is a receiver of webhooks that keeps what it got.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	secret string
	got    []got
}

type got struct {
	guid, event string
	body        map[string]any
	signed      bool
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{status: http.StatusAccepted}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		in.mu.Lock()
		defer in.mu.Unlock()
		m := hmac.New(sha256.New, []byte(in.secret))
		m.Write(raw)
		one := got{guid: r.Header.Get("X-GitHub-Delivery"), event: r.Header.Get("X-GitHub-Event")}
		one.signed = r.Header.Get("X-Hub-Signature-256") == "sha256="+hex.EncodeToString(m.Sum(nil))
		_ = json.Unmarshal(raw, &one.body)
		in.got = append(in.got, one)
		w.WriteHeader(in.status)
	}))
	t.Cleanup(in.Close)
	return in
}

// take returns what came since the last time, when all of it is there.
func (in *inbox) take(t *testing.T, g *GitHub) []got {
	t.Helper()
	if err := g.Hooks.Settle(within(t)); err != nil {
		t.Fatal(err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	all := in.got
	in.got = nil
	return all
}

// names are the events with their actions.
func names(all []got) (list []string) {
	for _, one := range all {
		name := one.event
		if action, ok := one.body["action"].(string); ok {
			name += "." + action
		}
		list = append(list, name)
	}
	return list
}

// listened is a yard whose webhooks are received.
func listened(t *testing.T, o GitHubOptions) (*GitHub, *Repo, *Installation, *inbox) {
	t.Helper()
	g, r, in, _ := yard(t, o)
	box := newInbox(t)
	box.secret = g.HookSecret()
	g.SetHook(box.URL)
	return g, r, in, box
}

// at digs in what came.
func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func TestWhatPeopleDoIsTold(t *testing.T) {
	t.Parallel()
	g, r, in, box := listened(t, GitHubOptions{})
	first := r.tip("main")
	var head string
	var pull, forked *Pull
	var fork *Repo
	var group *Group
	for _, c := range []struct {
		name string
		do   func()
		want []string
	}{
		{"push", func() { r.Push(t, "main", Change{Files: map[string]string{"a.txt": "2"}}) }, []string{"push", "check_suite.requested"}},
		{"branch", func() { head = r.Push(t, "topic", Change{Files: map[string]string{"b": "1"}}) }, []string{"push", "check_suite.requested"}},
		{"open", func() { pull = r.OpenPull(t, PullOptions{Branch: "topic", Draft: true}) }, []string{"pull_request.opened"}},
		{"ready", func() { pull.Ready("maria") }, []string{"pull_request.ready_for_review"}},
		{"draft", func() { pull.ConvertToDraft("maria") }, []string{"pull_request.converted_to_draft"}},
		{"label", func() { pull.Label("maria", "ci:run") }, []string{"pull_request.labeled"}},
		{"unlabel", func() { pull.Unlabel("maria", "ci:run") }, []string{"pull_request.unlabeled"}},
		{"title", func() { pull.EditTitle("maria", "x") }, []string{"pull_request.edited"}},
		{"retarget", func() { pull.Retarget("maria", "main") }, []string{"pull_request.edited"}},
		{"comment", func() { pull.Comment("maria", "/velocity rerun") }, []string{"issue_comment.created"}},
		{"force push", func() { r.ForcePush(t, "topic", first, Change{Files: map[string]string{"c": "1"}}) }, []string{
			"push", "check_suite.requested", "pull_request.synchronize",
		}},
		{"close", func() { pull.Close("maria") }, []string{"pull_request.closed"}},
		{"reopen", func() { pull.Reopen("maria") }, []string{"pull_request.reopened"}},
		{"enqueue", func() { group = pull.Enqueue(t, "maria") }, []string{"push", "check_suite.requested", "merge_group.checks_requested"}},
		{"dequeue", func() { group.Dequeue(t, "maria") }, []string{"push", "merge_group.destroyed"}},
		{"invalidate", func() { group = pull.Enqueue(t, "maria"); group.Invalidate(t, "maria") }, []string{
			"push", "check_suite.requested", "merge_group.checks_requested", "push", "merge_group.destroyed",
		}},
		{"merge by queue", func() { group = pull.Enqueue(t, "maria"); group.Merge(t, "maria") }, []string{
			"push", "check_suite.requested", "merge_group.checks_requested",
			"push", "push", "check_suite.requested", "merge_group.destroyed", "pull_request.closed",
		}},
		{"fork", func() {
			fork = r.Fork(t, "stranger")
			head = fork.Push(t, "evil", Change{Files: map[string]string{"e": "1"}})
		}, nil},
		{"pull from a fork", func() { forked = r.OpenPull(t, PullOptions{From: fork, Branch: "evil", Author: "stranger"}) }, []string{"pull_request.opened"}},
		{"push to a fork", func() { head = fork.Push(t, "evil", Change{Files: map[string]string{"e": "2"}}) }, []string{"pull_request.synchronize"}},
		{"fork deleted", func() { fork.Delete(); forked.Label("maria", "x") }, []string{"pull_request.labeled"}},
		{"merge", func() { forked.Merge(t, "maria") }, []string{"push", "check_suite.requested", "pull_request.closed"}},
		{"tag", func() { r.PushTags(t, first, "v1") }, []string{"push"}},
		{"three tags", func() { r.PushTags(t, first, "v2", "v3", "v4") }, []string{"push", "push", "push"}},
		{"four tags", func() { r.PushTags(t, first, "v5", "v6", "v7", "v8") }, nil},
		{"annotated tag", func() { r.PushAnnotatedTag(t, "v9", first, "nine") }, []string{"push"}},
		{"no tag", func() { r.DeleteTag(t, "v9") }, []string{"push"}},
		{"no branch", func() { r.DeleteBranch(t, "topic") }, []string{"push"}},
		{"default branch", func() { r.CreateBranch(t, "next", first); r.SetDefaultBranch(t, "next") }, []string{"push", "check_suite.requested", "repository.edited"}},
		{"rename", func() { r.Rename("renamed") }, []string{"repository.renamed"}},
		{"publicize", r.Publicize, []string{"repository.publicized"}},
		{"privatize", r.Privatize, []string{"repository.privatized"}},
		{"archive", r.Archive, []string{"repository.archived"}},
		{"permissions", func() { in.Accept(AppPermissions) }, []string{"installation.new_permissions_accepted"}},
		{"suspend", in.Suspend, []string{"installation.suspend"}},
		{"pushed while suspended", func() { r.Push(t, "main", Change{Files: map[string]string{"z": "1"}}) }, nil},
		{"unsuspend", in.Unsuspend, []string{"installation.unsuspend"}},
		{"ping", g.Ping, []string{"ping"}},
		{"delete", r.Delete, []string{"repository.deleted"}},
		{"uninstall", in.Uninstall, []string{"installation.deleted"}},
	} {
		c.do()
		all := box.take(t, g)
		if diff := cmp.Diff(c.want, names(all)); diff != "" {
			t.Errorf("%s is told as (-want +got):\n%s", c.name, diff)
		}
		for _, one := range all {
			if !one.signed || one.guid == "" {
				t.Errorf("%s: %s is not signed", c.name, one.event)
			}
		}
		if c.name == "fork deleted" && (at(all[0].body, "pull_request", "head", "repo") != nil || at(all[0].body, "pull_request", "head", "sha") != head) {
			t.Errorf("the head of a deleted fork is %v", at(all[0].body, "pull_request", "head"))
		}
	}
}

func TestPullRefsFollowAndForksStayReachable(t *testing.T) {
	t.Parallel()
	_, r, _, _ := listened(t, GitHubOptions{})
	fork := r.Fork(t, "stranger")
	fork.Push(t, "evil", Change{Files: map[string]string{"e": "1"}})
	p := r.OpenPull(t, PullOptions{From: fork, Branch: "evil"})
	for range 2 {
		if got := must[string](t)(r.Bare().Resolve("refs/pull/1/head")); got != p.Head() {
			t.Errorf("refs/pull/1/head is %s, want %s", got, p.Head())
		}
		fork.Push(t, "evil", Change{Files: map[string]string{"e": "2"}})
	}
}

func TestPushesSayWhatHappened(t *testing.T) {
	t.Parallel()
	g, r, _, box := listened(t, GitHubOptions{})
	old := r.tip("main")
	next := r.Push(t, "main", Change{Author: "maria", Files: map[string]string{"a.txt": "2", "new": "1"}})
	r.ForcePush(t, "main", "", Change{Files: map[string]string{"a.txt": "3"}})
	tag := r.PushAnnotatedTag(t, "v1", old, "one")
	r.DeleteTag(t, "v1")
	pushes := slices.DeleteFunc(box.take(t, g), func(one got) bool { return one.event != "push" })
	type view struct {
		ref, before, after                string
		created, deleted, forced, commits any
		head                              any
	}
	var views []view
	for _, one := range pushes {
		b := one.body
		commits, _ := b["commits"].([]any)
		views = append(views, view{
			b["ref"].(string), b["before"].(string), b["after"].(string), b["created"], b["deleted"], b["forced"], len(commits), at(b, "head_commit", "id"),
		})
	}
	forced := r.tip("main")
	want := []view{
		{"refs/heads/main", old, next, false, false, false, 1, next},
		{"refs/heads/main", next, forced, false, false, true, 1, forced},
		{"refs/tags/v1", zero, tag, true, false, false, 0, old},
		{"refs/tags/v1", tag, zero, false, true, false, 0, nil},
	}
	if diff := cmp.Diff(want, views, cmp.AllowUnexported(view{})); diff != "" {
		t.Errorf("pushes (-want +got):\n%s", diff)
	}
	if got := at(pushes[0].body, "sender", "id"); got != float64(g.Account("maria").ID) {
		t.Errorf("the sender is %v", got)
	}
}

func TestButtonsAndReruns(t *testing.T) {
	t.Parallel()
	g, r, in, box := listened(t, GitHubOptions{})
	c, ctx, sha := asInstallation(t, g, in, whole), within(t), r.tip("main")
	run, _, err := c.Checks.CreateCheckRun(ctx, "octo", "app", github.CreateCheckRunOptions{
		Name: "velocity", HeadSHA: sha, ExternalID: github.String("b1"), Conclusion: github.String("failure"),
		Actions: []*github.CheckRunAction{{Label: "Re-run", Description: "again", Identifier: "rerun"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Click(t, run.GetID(), "rerun", "maria")
	g.RerunCheck(t, run.GetID(), "maria")
	r.RerunChecks(t, sha, "maria")
	all := box.take(t, g)
	if diff := cmp.Diff([]string{"check_run.requested_action", "check_run.rerequested", "check_suite.rerequested"}, names(all)); diff != "" {
		t.Fatalf("told (-want +got):\n%s", diff)
	}
	if at(all[0].body, "requested_action", "identifier") != "rerun" || at(all[0].body, "check_run", "external_id") != "b1" {
		t.Errorf("the click says %v", all[0].body)
	}
	obeyed(t, g)
}

func TestMissedDeliveriesAreListedAndSentAgain(t *testing.T) {
	t.Parallel()
	g, r, _, box := listened(t, GitHubOptions{})
	app, ctx := asApp(t, g), within(t)
	box.status = http.StatusInternalServerError
	for range 3 {
		r.Push(t, "main", Change{Files: map[string]string{"a.txt": newGUID()}})
	}
	missed := box.take(t, g)
	box.mu.Lock()
	box.status = http.StatusOK
	box.mu.Unlock()
	var all []*github.HookDelivery
	opts := &github.ListCursorOptions{PerPage: 4}
	for {
		page, resp, err := app.Apps.ListHookDeliveries(ctx, opts)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if resp.Cursor == "" {
			break
		}
		opts.Cursor = resp.Cursor
	}
	if len(all) != 6 || all[0].GetStatus() == "OK" || all[0].GetGUID() != missed[5].guid {
		t.Fatalf("the list has %d deliveries: %v", len(all), all)
	}
	d, _, err := app.Apps.GetHookDelivery(ctx, all[1].GetID())
	if err != nil || !strings.Contains(string(*d.Request.RawPayload), "refs/heads/main") || d.Request.Headers["X-Github-Event"] != "push" {
		t.Errorf("a delivery is %v, %v", d, err)
	}
	if _, _, err := app.Apps.RedeliverHookDelivery(ctx, all[1].GetID()); !isAccepted(err) {
		t.Fatal(err)
	}
	again := box.take(t, g)
	if len(again) != 1 || again[0].guid != d.GetGUID() || !again[0].signed {
		t.Errorf("sent again: %v", again)
	}
	g.Clock.Advance(73 * time.Hour)
	if old, _, err := app.Apps.ListHookDeliveries(ctx, nil); err != nil || len(old) != 0 {
		t.Errorf("after three days there are %d, %v", len(old), err)
	}
	g.Clock.Advance(-73 * time.Hour)
	obeyed(t, g)
}

func isAccepted(err error) bool {
	_, ok := err.(*github.AcceptedError)
	return ok
}

func TestAnAppIsMadeOfAManifest(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, GitHubOptions{NoApp: true})
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := func(manifest string) (int, *url.URL) {
		resp, err := browser.PostForm(g.URL()+"/organizations/octo/settings/apps/new?state=s1", map[string][]string{"manifest": {manifest}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		where, _ := resp.Location() // nil if it leads nowhere
		return resp.StatusCode, where
	}
	if got, _ := form(`{"url":"https://v.example.com"}`); got != http.StatusUnprocessableEntity || len(g.Violations()) != 1 {
		t.Errorf("half a manifest: %d, violations %q", got, g.Violations())
	}
	const head = `{"name":"My CI","url":"https://v.example.com","hook_attributes":{"url":"https://v.example.com/hooks"},"redirect_url":"https://v.example.com/back",`
	if got, _ := form(head + `"default_events":["merge_group"],"default_permissions":{"checks":"write"}}`); got != http.StatusUnprocessableEntity {
		t.Errorf("an event without its permission: %d", got)
	}
	_, where := form(head + `"default_events":["push"],"default_permissions":{"contents":"read"}}`)
	if where == nil || where.Query().Get("state") != "s1" || where.Path != "/back" {
		t.Fatalf("it leads to %v", where)
	}
	c := must[*github.Client](t)(github.NewClient(nil).WithEnterpriseURLs(g.URL(), g.URL()))
	app, _, err := c.Apps.CompleteAppManifest(within(t), where.Query().Get("code"))
	if err != nil || app.GetSlug() != "my-ci" || app.GetWebhookSecret() != g.HookSecret() {
		t.Fatalf("the App is %v, %v", app, err)
	}
	if _, resp, err := c.Apps.CompleteAppManifest(within(t), where.Query().Get("code")); err == nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("the code worked twice: %v", err)
	}
	if own, _, err := asApp(t, g).Apps.Get(within(t), ""); err != nil || own.GetID() != app.GetID() {
		t.Errorf("the key opens %v, %v", own, err)
	}
	_, late := form(head + `"default_permissions":{"contents":"read"}}`)
	g.Clock.Advance(time.Hour)
	if _, _, err := c.Apps.CompleteAppManifest(within(t), late.Query().Get("code")); err == nil {
		t.Error("the code worked after an hour")
	}
}
