package github

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestRepositoriesOfAllInstallations(t *testing.T) {
	s := newStage(t, 1)
	s.hub.CreateRepo(t, "other/r", forgetest.RepoOptions{Private: true, Branch: "trunk"})
	s.hub.Install(t, "other")
	s.hub.CreateRepo(t, "asleep/r", forgetest.RepoOptions{})
	s.hub.Install(t, "asleep").Suspend()
	all, err := s.app.Repositories(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v; want two", all, err)
	}
	first := forge.Repository{
		Key: forge.Key{Kind: forge.GitHub, ID: s.there.ID()}, Installation: s.in.ID(), Name: "acme/anvil",
		DefaultBranch: "refs/heads/main", Clone: s.there.CloneURL(), Page: s.hub.URL() + "/acme/anvil", Public: true,
	}
	if diff := cmp.Diff(first, all[0]); diff != "" {
		t.Errorf("repository (-want +got):\n%s", diff)
	}
	if last := all[1]; last.Public || last.DefaultBranch != "refs/heads/trunk" {
		t.Errorf("%+v", last)
	}
}

func TestRepositoriesAreThereBesideAnError(t *testing.T) {
	s := newStage(t, 1)
	s.hub.Install(t, "empty")
	s.faults.Inject(forgetest.OnCall(http.MethodGet, "/installation/repositories"), forgetest.Mishap{}, forgetest.Mishap{Kind: forgetest.Refused})
	if all, err := s.app.Repositories(t.Context()); err == nil || len(all) != 1 {
		t.Errorf("%+v, %v; want one, and an error", all, err)
	}
}

func TestListsHaveMorePages(t *testing.T) {
	s := newStage(t, 1)
	for i := range 210 {
		s.hub.Install(t, fmt.Sprintf("account-%d", i))
	}
	all, err := s.app.Installations(t.Context())
	if err != nil || len(all) != 211 || all[210].Account != "account-209" {
		t.Errorf("%d installations, %v; want 211", len(all), err)
	}
}

func TestRepositoryIsFoundByItsNumber(t *testing.T) {
	s := newStage(t, 1)
	s.there.Rename("hammer")
	s.there.Archive()
	r, err := s.app.Repository(t.Context(), s.in.ID(), s.there.ID())
	if err != nil || r.Name != "acme/hammer" || !r.Archived {
		t.Errorf("%+v, %v", r, err)
	}
	other := s.hub.CreateRepo(t, "other/r", forgetest.RepoOptions{Private: true})
	if _, err := s.app.Repository(t.Context(), s.in.ID(), other.ID()); !errors.Is(err, forge.ErrGone) {
		t.Errorf("a repository that we are not let into: %v", err)
	}
	s.in.Suspend()
	if _, err := s.open(t).Repository(t.Context(), s.in.ID(), s.there.ID()); !errors.Is(err, forge.ErrForbidden) {
		t.Errorf("through a suspended installation: %v", err)
	}
	s.in.Unsuspend()
	s.in.Uninstall()
	if _, err := s.open(t).Repository(t.Context(), s.in.ID(), s.there.ID()); !errors.Is(err, forge.ErrGone) {
		t.Errorf("through an installation that is gone: %v", err)
	}
}

func TestPulls(t *testing.T) {
	s := newStage(t, 1)
	for _, branch := range []string{"one", "two"} {
		s.there.Push(t, branch, forgetest.Change{Files: map[string]string{branch: "x"}})
	}
	first := s.there.OpenPull(t, forgetest.PullOptions{Branch: "one", Author: "wile", Draft: true})
	first.Label("wile", "ci")
	fork := s.there.Fork(t, "runner")
	fork.Push(t, "beep", forgetest.Change{Files: map[string]string{"beep": "beep"}})
	s.there.OpenPull(t, forgetest.PullOptions{Branch: "beep", From: fork, Author: "runner"})
	s.there.OpenPull(t, forgetest.PullOptions{Branch: "two"}).Close("wile")
	pulls, err := s.app.Pulls(t.Context(), s.repo)
	if err != nil || len(pulls) != 2 {
		t.Fatalf("%+v, %v; want the two open ones", pulls, err)
	}
	wile := s.hub.Account("wile")
	want := forge.Pull{
		Number: first.Number(), Head: plan.Commit(first.Head()), HeadRef: "refs/heads/one", BaseRef: "refs/heads/main",
		Author: forge.User{ID: wile.ID, Login: "wile"}, Labels: []string{"ci"}, Draft: true, Open: true, Modified: pulls[0].Modified,
	}
	if diff := cmp.Diff(want, pulls[0]); diff != "" || pulls[0].Modified.IsZero() {
		t.Errorf("pull request (-want +got):\n%s", diff)
	}
	if !pulls[1].Fork {
		t.Error("a fork's pull request is none of a fork")
	}
	fork.Delete()
	one, err := s.app.Pull(t.Context(), s.repo, pulls[1].Number)
	if err != nil || !one.Fork || one.Head != pulls[1].Head {
		t.Errorf("after the fork is gone: %+v, %v", one, err)
	}
	if _, err := s.app.Pull(t.Context(), s.repo, 99); !errors.Is(err, forge.ErrGone) {
		t.Errorf("a pull request that is not there: %v", err)
	}
}

func TestPullsAreAskedForConditionally(t *testing.T) {
	s := newStage(t, 1)
	for range 3 {
		if _, err := s.app.Pulls(t.Context(), s.repo); err != nil {
			t.Fatal(err)
		}
	}
	var statuses []int
	for _, c := range s.hub.Calls() {
		if strings.HasSuffix(c.Path, "/pulls") {
			statuses = append(statuses, c.Status)
		}
	}
	if !slices.Equal(statuses, []int{200, 304, 304}) {
		t.Errorf("answers %v", statuses)
	}
}

func TestAnotherRepositoryMayTakeAName(t *testing.T) {
	s := newStage(t, 1)
	s.there.Role("wile", "write")
	s.there.Rename("hammer")
	taken := s.hub.CreateRepo(t, "acme/anvil", forgetest.RepoOptions{})
	taken.Push(t, "main", forgetest.Change{Files: map[string]string{"x": "x"}})
	taken.Push(t, "one", forgetest.Change{Files: map[string]string{"y": "y"}})
	taken.Role("runner", "admin")
	taken.OpenPull(t, forgetest.PullOptions{Branch: "one"})
	if p, err := s.app.Pull(t.Context(), s.repo, 1); !errors.Is(err, forge.ErrGone) {
		t.Errorf("Pull = %+v, %v; want ErrGone", p, err)
	}
	if p, err := s.app.Pulls(t.Context(), s.repo); !errors.Is(err, forge.ErrGone) {
		t.Errorf("Pulls = %+v, %v; want ErrGone", p, err)
	}
	for who, want := range map[string]bool{"wile": true, "runner": false} {
		if got, err := s.app.CanWrite(t.Context(), s.repo, forge.User{ID: s.hub.Account(who).ID, Login: who}); got != want || err != nil {
			t.Errorf("CanWrite of %s = %v, %v; want %v", who, got, err, want)
		}
	}
}

func TestCanWrite(t *testing.T) {
	s := newStage(t, 1)
	for role, want := range map[string]bool{"admin": true, "maintain": true, "write": true, "triage": false, "read": false, "": false} {
		s.there.Role("wile", role)
		if got, err := s.app.CanWrite(t.Context(), s.repo, forge.User{ID: s.hub.Account("wile").ID, Login: "wile"}); got != want || err != nil {
			t.Errorf("with role %q: %v, %v; want %v", role, got, err, want)
		}
	}
	s.there.Role("wile", "admin")
	for name, u := range map[string]forge.User{
		"nobody":             {},
		"no number":          {Login: "wile"},
		"another's number":   {ID: s.hub.Account("runner").ID, Login: "wile"},
		"no user":            {ID: 7, Login: "nobody-at-all"},
		"a path":             {ID: s.hub.Account("wile").ID, Login: "wile/../wile"},
		"a bot without role": {ID: s.hub.Account("dependabot[bot]").ID, Login: "dependabot[bot]", Bot: true},
	} {
		if got, err := s.app.CanWrite(t.Context(), s.repo, u); got || err != nil {
			t.Errorf("%s: %v, %v; want false", name, got, err)
		}
	}
}

func TestCredentialOpensOneRepositoryUntilItIsClosed(t *testing.T) {
	s := newStage(t, 1)
	before := s.hub.Tokens()
	c, err := s.app.Credential(t.Context(), s.repo)
	if err != nil {
		t.Fatal(err)
	}
	if c.User != "x-access-token" || s.hub.Tokens() != before+1 {
		t.Errorf("user %q, %d tokens", c.User, s.hub.Tokens()-before)
	}
	calls := s.hub.Calls()
	if body := string(calls[len(calls)-1].Body); !strings.Contains(body, `"contents":"read"`) || strings.Contains(body, "write") ||
		!strings.Contains(body, `"repository_ids":[`) {
		t.Errorf("the token was asked for with %s", body)
	}
	s.faults.Inject(forgetest.OnCall(http.MethodDelete, "/token"), forgetest.Mishap{Kind: forgetest.Refused}, forgetest.Mishap{Kind: forgetest.Cut})
	for range 2 { // not at all, and without an answer
		if err := c.Close(t.Context()); err == nil {
			t.Fatal("a failure is no error")
		}
	}
	for range 2 {
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.hub.Tokens() != before {
		t.Error("the token lives on")
	}
	gone := s.repo
	gone.ID = 1
	if _, err := s.app.Credential(t.Context(), gone); !errors.Is(err, forge.ErrForbidden) {
		t.Errorf("a repository that we are not let into: %v", err)
	}
}

func TestADeadTokenIsReplacedOnce(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.check("b1"), forge.Told{})
	s.in.Accept(forgetest.AppPermissions) // which ends all tokens
	s.post(t, s.done("b1", 0), told)
	if runs := s.runs(); len(runs) != 1 || runs[0].Status != "completed" {
		t.Errorf("runs %+v", runs)
	}
	unauthorized := forgetest.Mishap{Kind: forgetest.Refused, Status: http.StatusUnauthorized}
	s.faults.Inject(forgetest.OnCall(http.MethodGet, "/pulls"), unauthorized, unauthorized)
	n := s.calls(func() {
		if _, err := s.app.Pulls(t.Context(), s.repo); err == nil {
			t.Error("two refusals are no error")
		}
	})
	if n[http.MethodGet] != 3 || n[http.MethodPost] != 1 { // one of them looks what is granted
		t.Errorf("%v; want two tries and one new token", n)
	}
}

func TestTokensAskForWhatIsGranted(t *testing.T) {
	s := newStage(t, 1)
	s.in.Accept(map[string]string{"metadata": "read", "checks": "write", "contents": "read"}) // from an older list
	s.app = s.open(t)
	s.post(t, s.check("b1"), forge.Told{})
	for _, c := range s.hub.Calls() {
		if strings.HasSuffix(c.Path, "/access_tokens") && c.Status == http.StatusUnprocessableEntity {
			t.Errorf("a token was refused: %s", c.Body)
		}
	}
}

func TestAWriteIsNotRedirected(t *testing.T) {
	s := newStage(t, 1)
	s.there.Rename("hammer")
	n := s.calls(func() {
		_, err := s.app.door(s.in.ID()).ask(t.Context(), http.MethodPost, "repos/acme/anvil/statuses/"+string(s.commit), describe(s.check("b1")), nil)
		var f *failure
		if !errors.As(err, &f) || !f.moved() {
			t.Errorf("a write to an old name: %v", err)
		}
	})
	if n[http.MethodPost] != 1 {
		t.Errorf("%v; want one POST", n)
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	s := newStage(t, 1)
	s.in.Accept(map[string]string{"metadata": "read", "contents": "read", "checks": "read", "pull_requests": "read", "issues": "read"})
	s.hub.Install(t, "other").Suspend()
	h, err := s.app.Check(t.Context())
	if err != nil || h.Slug == "" || h.Page == "" || len(h.Missing) != 0 || len(h.Installations) != 2 || !h.Installations[1].Suspended {
		t.Fatalf("%+v, %v", h, err)
	}
	var names []string
	for _, n := range h.Installations[0].Missing {
		names = append(names, n.Name)
	}
	if want := []string{"checks", "statuses", "merge_queues"}; !slices.Equal(names, want) {
		t.Errorf("missing %v; want %v", names, want)
	}
	if h.Skew.Abs() > time.Second {
		t.Errorf("skew %v", h.Skew)
	}
}

func TestCheckKnowsTheSkewThatItIsRefusedFor(t *testing.T) {
	s := newStage(t, 1)
	o, known := s.app.options, s.hub.App(t)
	o.Key = []byte(known.PEM())
	o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	a, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	h, err := a.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("Check = %v; want a word of clocks", err)
	}
	if off := (h.Skew - 2*time.Hour).Abs(); off > 2*time.Minute {
		t.Errorf("skew %v; want 2h", h.Skew)
	}
}

func TestHook(t *testing.T) {
	s := newStage(t, 1)
	if err := s.app.SetHook(t.Context(), "https://ci.example.com/hooks/github", "another"); err != nil {
		t.Fatal(err)
	}
	address, err := s.app.HookAddress(t.Context())
	if err != nil || address != "https://ci.example.com/hooks/github" || s.hub.HookSecret() != "another" {
		t.Errorf("%q, %q, %v", address, s.hub.HookSecret(), err)
	}
	if err := s.app.SetHook(t.Context(), "", "third"); err != nil || s.hub.HookSecret() != "third" {
		t.Errorf("%v, %q", err, s.hub.HookSecret())
	}
	if again, err := s.app.HookAddress(t.Context()); again != address || err != nil {
		t.Errorf("%q, %v after the secret changed", again, err)
	}
}
