package forgetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-github/v62/github"
)

func TestRenamedRepositoriesLeadOn(t *testing.T) {
	t.Parallel()
	g, r, in, sha := yard(t, GitHubOptions{})
	api := newRaw(t, g, in)
	r.Rename("new")
	where := fmt.Sprintf("%s/api/v3/repositories/%d/commits/%s", g.URL(), r.ID(), sha)
	if resp, _ := api.do(http.MethodGet, "/api/v3/repos/octo/app/commits/"+sha, nil); resp.StatusCode != 301 || resp.Header.Get("Location") != where {
		t.Errorf("reading: %d, %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp, _ := api.do(http.MethodGet, strings.TrimPrefix(where, g.URL()), nil); resp.StatusCode != http.StatusOK {
		t.Errorf("where it leads: %d", resp.StatusCode)
	}
	if resp, _ := api.do(http.MethodPost, "/repos/octo/app/statuses/"+sha, object{"state": "success"}); resp.StatusCode != 307 {
		t.Errorf("writing: %d", resp.StatusCode)
	}
	if resp, _ := api.do(http.MethodGet, "/repositories/1", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown number: %d", resp.StatusCode)
	}
	r.Transfer("somebody") // out of the installation's reach
	if resp, _ := api.do(http.MethodGet, fmt.Sprintf("/repositories/%d", r.ID()), nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("after the transfer: %d", resp.StatusCode)
	}
}

func TestUnchangedAnswersAreFree(t *testing.T) {
	t.Parallel()
	g, r, in, _ := yard(t, GitHubOptions{})
	api := newRaw(t, g, in)
	const pulls = "/repos/octo/app/pulls"
	first, _ := api.do(http.MethodGet, pulls, nil)
	second, _ := api.do(http.MethodGet, pulls, nil, "If-None-Match", first.Header.Get("ETag"))
	left := first.Header.Get("X-RateLimit-Remaining")
	if second.StatusCode != http.StatusNotModified || left != "4999" || second.Header.Get("X-RateLimit-Remaining") != left {
		t.Errorf("%d, %s left, then %s", second.StatusCode, left, second.Header.Get("X-RateLimit-Remaining"))
	}
	r.CreateBranch(t, "topic", r.tip("main"))
	r.OpenPull(t, PullOptions{Branch: "topic"})
	third, _ := api.do(http.MethodGet, pulls, nil, "If-None-Match", first.Header.Get("ETag"))
	if third.StatusCode != http.StatusOK || third.Header.Get("X-RateLimit-Remaining") != "4998" {
		t.Errorf("after a change %d, %s left", third.StatusCode, third.Header.Get("X-RateLimit-Remaining"))
	}
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	g, _, in, _ := yard(t, GitHubOptions{})
	for i := range 6 {
		g.CreateRepo(t, fmt.Sprintf("octo/r%d", i), RepoOptions{})
	}
	c, ctx := asInstallation(t, g, in, whole), within(t)
	var sizes []int
	opts := &github.ListOptions{PerPage: 3}
	for {
		page, resp, err := c.Apps.ListRepos(ctx, opts)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Repositories))
		if opts.Page = resp.NextPage; opts.Page == 0 {
			break
		}
	}
	if diff := cmp.Diff([]int{3, 3, 1}, sizes); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

func TestTooManyWritesAreRefused(t *testing.T) {
	t.Parallel()
	g, _, in, sha := yard(t, GitHubOptions{Writes: 3})
	api := newRaw(t, g, in)
	var got []int
	for range 4 {
		resp, _ := api.do(http.MethodPost, "/repos/octo/app/statuses/"+sha, object{"state": "success"})
		got = append(got, resp.StatusCode)
	}
	g.Clock.Advance(time.Minute)
	resp, _ := api.do(http.MethodPost, "/repos/octo/app/statuses/"+sha, object{"state": "success"})
	if diff := cmp.Diff([]int{201, 201, 201, 403, 201}, append(got, resp.StatusCode)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestLimitsComeInAllForms(t *testing.T) {
	t.Parallel()
	faults := NewFaults(1, Odds{})
	g, _, in, _ := yard(t, GitHubOptions{Faults: faults})
	api := newRaw(t, g, in)
	faults.Inject(OnCall(http.MethodGet, "/pulls"), Limits...)
	for _, want := range Limits {
		resp, answer := api.do(http.MethodGet, "/repos/octo/app/pulls", nil)
		if resp.StatusCode != want.Status || (resp.Header.Get("Retry-After") != "") != (want.RetryAfter > 0) ||
			(resp.Header.Get("X-RateLimit-Remaining") == "0") != want.Exhausted || !strings.Contains(fmt.Sprint(answer["message"]), "rate limit") {
			t.Errorf("%+v: %d, %v, %v", want, resp.StatusCode, resp.Header, answer)
		}
	}
}

func TestALostAnswerWasApplied(t *testing.T) {
	t.Parallel()
	faults := NewFaults(1, Odds{})
	g, _, in, sha := yard(t, GitHubOptions{Faults: faults})
	c, ctx := asInstallation(t, g, in, whole), within(t)
	faults.Inject(OnCall(http.MethodPost, "/check-runs"), Mishap{Kind: Cut}, Mishap{Kind: Unanswered}, Mishap{Kind: Refused})
	for i := range 3 {
		_, resp, err := c.Checks.CreateCheckRun(ctx, "octo", "app", github.CreateCheckRunOptions{Name: "n", HeadSHA: sha, ExternalID: github.String(fmt.Sprint(i))})
		if err == nil || i == 0 && resp != nil {
			t.Errorf("call %d: %v, %v", i, resp, err)
		}
	}
	if runs := g.Checks(sha); len(runs) != 2 || runs[1].ExternalID != "1" {
		t.Errorf("the runs are %+v", runs)
	}
	call, err := g.WaitCall(ctx, func(c Call) bool { return c.Mishap.Kind == Cut })
	if err != nil || call.Status != 0 || !bytes.Contains(call.Body, []byte(sha)) {
		t.Errorf("the log says %+v, %v", call, err)
	}
}

func TestWaitingEndsWithTheEvent(t *testing.T) {
	t.Parallel()
	g, _, in, sha := yard(t, GitHubOptions{})
	c, ctx := asInstallation(t, g, in, whole), within(t)
	done := make(chan error, 1)
	go func() {
		_, err := g.WaitCheck(ctx, sha, "n", Concluded("success"))
		done <- err
	}()
	run, _, err := c.Checks.CreateCheckRun(ctx, "octo", "app", github.CreateCheckRunOptions{Name: "n", HeadSHA: sha})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Checks.UpdateCheckRun(ctx, "octo", "app", run.GetID(), github.UpdateCheckRunOptions{Name: "n", Conclusion: github.String("success")}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if now, err := g.WaitCheck(over, sha, "n", Concluded("failure")); !errors.Is(err, context.Canceled) || now.Conclusion != "success" {
		t.Errorf("waiting for what does not come: %+v, %v", now, err)
	}
}

func TestWhatTheFakeDoesNotHaveIsAViolation(t *testing.T) {
	t.Parallel()
	g, _, in, _ := yard(t, GitHubOptions{})
	api := newRaw(t, g, in)
	for _, path := range []string{"/user/repos", "/repos/octo/app/contents/dir/a.txt"} {
		before := len(g.Violations())
		if resp, _ := api.do(http.MethodGet, path, nil); resp.StatusCode < 400 || len(g.Violations()) == before {
			t.Errorf("%s: %d, %q", path, resp.StatusCode, g.Violations())
		}
	}
}

func TestALoginIsNotAPerson(t *testing.T) {
	t.Parallel()
	g, _, in, _ := yard(t, GitHubOptions{})
	maria := g.Account("maria")
	g.RenameAccount("maria", "maria2")
	api := newRaw(t, g, in)
	for login, want := range map[string]string{"maria2": "write", "maria": "none"} {
		g.Account(login)
		_, answer := api.do(http.MethodGet, "/repos/octo/app/collaborators/"+login+"/permission", nil)
		if same := at(answer, "user", "id") == float64(maria.ID); answer["permission"] != want || same != (login == "maria2") {
			t.Errorf("%s has %v, and is the same person: %v", login, answer["permission"], same)
		}
	}
}

func TestAHungCallEndsWithTheClient(t *testing.T) {
	t.Parallel()
	faults := NewFaults(1, Odds{})
	g, _, in, _ := yard(t, GitHubOptions{Faults: faults})
	c := asInstallation(t, g, in, whole)
	faults.Inject(OnCall(http.MethodGet, "/pulls"), Mishap{Kind: Hung})
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error, 1)
	go func() {
		_, _, err := c.PullRequests.List(ctx, "octo", "app", nil)
		done <- err
	}()
	if _, err := g.WaitCall(ctx, func(c Call) bool { return c.Mishap.Kind == Hung }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestSeededFaultsApplyWhatTheySay(t *testing.T) {
	t.Parallel()
	kinds := map[Kind]bool{}
	for seed := range uint64(5) {
		faults := NewFaults(seed, Odds{})
		g, _, in, sha := yard(t, GitHubOptions{Faults: faults})
		api := newRaw(t, g, in)
		faults.Set(Odds{Refused: .15, Unanswered: .15, Cut: .15, Limited: .15})
		for range 20 {
			api.do(http.MethodPost, "/repos/octo/app/check-runs", object{"name": "n", "head_sha": sha})
		}
		applied := 0
		for _, c := range g.Calls() {
			if !strings.HasSuffix(c.Path, "/check-runs") {
				continue
			}
			kinds[c.Mishap.Kind] = true
			if c.Mishap.Kind == Fine || c.Mishap.Kind == Unanswered || c.Mishap.Kind == Cut {
				applied++
			}
		}
		if runs := len(g.Checks(sha)); runs != applied {
			t.Errorf("seed %d: %d runs, and %d calls that were applied", seed, runs, applied)
		}
	}
	if len(kinds) != 5 {
		t.Errorf("kinds that came: %v", kinds)
	}
}
