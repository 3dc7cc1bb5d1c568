package forgetest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/builder/require"
)

// none is for Data, where a fake shall do without.
const none = "none"

// newGitHub starts a fake that ends with the test. A test that means to break rules
// says so, or it fails when one was broken.
func newGitHub(t *testing.T, o GitHubOptions) *GitHub {
	t.Helper()
	o.Dir = t.TempDir()
	if o.Data != none {
		o.Data = require.ForgeData(t)
	}
	o.Data = strings.TrimPrefix(o.Data, none)
	g := must[*GitHub](t)(NewGitHub(o))
	t.Cleanup(func() {
		g.Close()
		if wrong := g.Untrue(); len(wrong) > 0 {
			t.Errorf("the fake is not like GitHub:\n%s", strings.Join(wrong, "\n"))
		}
	})
	return g
}

// obeyed fails if a client broke a rule.
func obeyed(t *testing.T, g *GitHub) {
	t.Helper()
	if wrong := g.Violations(); !g.Validated() || len(wrong) > 0 {
		t.Errorf("validated %v, violations:\n%s", g.Validated(), strings.Join(wrong, "\n"))
	}
}

// asApp is a real client that speaks as the App.
func asApp(t *testing.T, g *GitHub) *github.Client {
	t.Helper()
	app := g.App(t)
	tr := must[*ghinstallation.AppsTransport](t)(ghinstallation.NewAppsTransport(http.DefaultTransport, app.ID, []byte(app.PEM())))
	return must[*github.Client](t)(github.NewClient(&http.Client{Transport: tr}).WithEnterpriseURLs(g.URL(), g.URL()))
}

// asInstallation is a real client that speaks as an installation.
func asInstallation(t *testing.T, g *GitHub, in *Installation, narrow *github.InstallationTokenOptions) *github.Client {
	t.Helper()
	app := g.App(t)
	tr := must[*ghinstallation.Transport](t)(ghinstallation.New(http.DefaultTransport, app.ID, in.ID(), []byte(app.PEM())))
	tr.BaseURL = g.URL() + "/api/v3"
	tr.InstallationTokenOptions = narrow
	return must[*github.Client](t)(github.NewClient(&http.Client{Transport: tr}).WithEnterpriseURLs(g.URL(), g.URL()))
}

// whole asks for all that the installation may.
var whole = &github.InstallationTokenOptions{}

// yard is a fake with a repository that has one commit.
func yard(t *testing.T, o GitHubOptions) (*GitHub, *Repo, *Installation, string) {
	t.Helper()
	g := newGitHub(t, o)
	g.Organization("octo")
	r := g.CreateRepo(t, "octo/app", RepoOptions{Private: true})
	r.Role("maria", "write")
	sha := r.Push(t, "main", Change{Author: "maria", Files: map[string]string{"a.txt": "1"}})
	return g, r, g.Install(t, "octo"), sha
}

func TestARealClientDoesTheUsualCalls(t *testing.T) {
	t.Parallel()
	g, r, in, sha := yard(t, GitHubOptions{})
	ctx := within(t)
	r.CreateBranch(t, "topic", sha)
	head := r.Push(t, "topic", Change{Author: "maria", Files: map[string]string{"b.txt": "1"}})
	pull := r.OpenPull(t, PullOptions{Branch: "topic", Author: "maria"})
	tag := r.PushAnnotatedTag(t, "v1", sha, "one")
	app, c := asApp(t, g), asInstallation(t, g, in, whole)
	n := int(pull.Number())
	var run, suite int64
	for _, call := range []struct {
		name string
		do   func() (any, error)
		want any
	}{
		{"app", func() (any, error) { a, _, err := app.Apps.Get(ctx, ""); return a.GetSlug(), err }, "velocity-test"},
		{"installations", func() (any, error) { l, _, err := app.Apps.ListInstallations(ctx, nil); return len(l), err }, 1},
		{"installation", func() (any, error) {
			i, _, err := app.Apps.GetInstallation(ctx, in.ID())
			return i.GetAccount().GetType(), err
		}, "Organization"},
		{"installation of", func() (any, error) {
			i, _, err := app.Apps.FindRepositoryInstallation(ctx, "octo", "app")
			return i.GetID(), err
		}, in.ID()},
		{"hook", func() (any, error) {
			h, _, err := app.Apps.UpdateHookConfig(ctx, &github.HookConfig{ContentType: github.String("form")})
			return h.GetContentType(), err
		}, "form"},
		{"repositories", func() (any, error) {
			l, _, err := c.Apps.ListRepos(ctx, nil)
			return l.GetTotalCount(), err
		}, 1},
		{"repository by number", func() (any, error) {
			x, _, err := c.Repositories.GetByID(ctx, r.ID())
			return x.GetFullName(), err
		}, "octo/app"},
		{"branch", func() (any, error) {
			b, _, err := c.Repositories.GetBranch(ctx, "octo", "app", "topic", 0)
			return b.GetCommit().GetSHA(), err
		}, head},
		{"commit", func() (any, error) {
			x, _, err := c.Repositories.GetCommit(ctx, "octo", "app", head, nil)
			return x.GetCommit().GetAuthor().GetName(), err
		}, "maria"},
		{"ref", func() (any, error) {
			x, _, err := c.Git.GetRef(ctx, "octo", "app", "tags/v1")
			return x.GetObject().GetSHA(), err
		}, tag},
		{"refs", func() (any, error) {
			l, _, err := c.Git.ListMatchingRefs(ctx, "octo", "app", &github.ReferenceListOptions{Ref: "heads/"})
			return len(l), err
		}, 2},
		{"permission", func() (any, error) {
			p, _, err := c.Repositories.GetPermissionLevel(ctx, "octo", "app", "maria")
			return [2]any{p.GetPermission(), p.GetUser().GetID()}, err
		}, [2]any{"write", g.Account("maria").ID}},
		{"permission of a stranger", func() (any, error) {
			p, _, err := c.Repositories.GetPermissionLevel(ctx, "octo", "app", "octo")
			return p.GetPermission(), err
		}, "admin"},
		{"pulls", func() (any, error) {
			l, _, err := c.PullRequests.List(ctx, "octo", "app", nil)
			return len(l), err
		}, 1},
		{"pull", func() (any, error) {
			p, _, err := c.PullRequests.Get(ctx, "octo", "app", n)
			return p.GetHead().GetSHA(), err
		}, head},
		{"pulls of a commit", func() (any, error) {
			l, _, err := c.PullRequests.ListPullRequestsWithCommit(ctx, "octo", "app", head, nil)
			return len(l), err
		}, 1},
		{"files", func() (any, error) {
			l, _, err := c.PullRequests.ListFiles(ctx, "octo", "app", n, nil)
			return l[0].GetFilename(), err
		}, "b.txt"},
		{"create run", func() (any, error) {
			x, _, err := c.Checks.CreateCheckRun(ctx, "octo", "app", github.CreateCheckRunOptions{
				Name: "velocity / default", HeadSHA: head, ExternalID: github.String("b1"), Status: github.String("in_progress"),
				StartedAt: &github.Timestamp{Time: time.Now()},
				Output:    &github.CheckRunOutput{Title: github.String("Running"), Summary: github.String("…")},
			})
			run, suite = x.GetID(), x.GetCheckSuite().GetID()
			return len(x.PullRequests), err
		}, 1},
		{"update run", func() (any, error) {
			x, _, err := c.Checks.UpdateCheckRun(ctx, "octo", "app", run, github.UpdateCheckRunOptions{
				Name: "velocity / default", Status: github.String("completed"), Conclusion: github.String("failure"),
				Output: &github.CheckRunOutput{
					Title: github.String("Failed"), Summary: github.String("one"),
					Annotations: []*github.CheckRunAnnotation{{
						Path: github.String("a.txt"), StartLine: github.Int(1), EndLine: github.Int(1),
						AnnotationLevel: github.String("failure"), Message: github.String("no"),
					}},
				},
				Actions: []*github.CheckRunAction{{Label: "Re-run", Description: "Run it again", Identifier: "rerun"}},
			})
			return x.GetConclusion(), err
		}, "failure"},
		{"annotations", func() (any, error) {
			l, _, err := c.Checks.ListCheckRunAnnotations(ctx, "octo", "app", run, nil)
			return len(l), err
		}, 1},
		{"runs", func() (any, error) {
			l, _, err := c.Checks.ListCheckRunsForRef(ctx, "octo", "app", head, &github.ListCheckRunsOptions{
				CheckName: github.String("velocity / default"), AppID: github.Int64(g.App(t).ID),
			})
			return l.GetTotal(), err
		}, 1},
		{"suite", func() (any, error) {
			s, _, err := c.Checks.GetCheckSuite(ctx, "octo", "app", suite)
			return s.GetConclusion(), err
		}, "failure"},
		{"suites", func() (any, error) {
			l, _, err := c.Checks.ListCheckSuitesForRef(ctx, "octo", "app", head, nil)
			return l.GetTotal(), err
		}, 1},
		{"status", func() (any, error) {
			s, _, err := c.Repositories.CreateStatus(ctx, "octo", "app", sha, &github.RepoStatus{
				State: github.String("success"), Context: github.String("velocity"), Description: github.String("fine"),
			})
			return s.GetState(), err
		}, "success"},
		{"combined status", func() (any, error) {
			s, _, err := c.Repositories.GetCombinedStatus(ctx, "octo", "app", sha, nil)
			return s.GetState(), err
		}, "success"},
		{"comment", func() (any, error) {
			x, _, err := c.Issues.CreateComment(ctx, "octo", "app", n, &github.IssueComment{Body: github.String("hello")})
			return x.GetBody(), err
		}, "hello"},
		{"rate limit", func() (any, error) {
			l, _, err := c.RateLimit.Get(ctx)
			return l.GetCore().Limit, err
		}, 5000},
		{"revoke", func() (any, error) { _, err := c.Apps.RevokeInstallationToken(ctx); return g.Tokens(), err }, 0},
	} {
		got, err := call.do()
		if err != nil || !cmp.Equal(got, call.want) {
			t.Errorf("%s: %v, %v; want %v", call.name, got, err, call.want)
		}
	}
	obeyed(t, g)
}

func TestTheKeyOpensOnlyWhatItIsFor(t *testing.T) {
	t.Parallel()
	g, _, in, _ := yard(t, GitHubOptions{})
	other := g.CreateRepo(t, "octo/other", RepoOptions{Private: true})
	ctx := within(t)
	narrow := asInstallation(t, g, in, &github.InstallationTokenOptions{
		RepositoryIDs: []int64{other.ID()}, Permissions: &github.InstallationPermissions{Contents: github.String("read")},
	})
	status := func(c *github.Client) int {
		_, resp, err := c.Repositories.Get(ctx, "octo", "app")
		if resp == nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	if got := status(narrow); got != http.StatusNotFound {
		t.Errorf("a token for another repository: %d", got)
	}
	if _, resp, _ := narrow.PullRequests.List(ctx, "octo", "other", nil); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a token without the permission: %d", resp.StatusCode)
	}
	all := asInstallation(t, g, in, whole)
	if got := status(all); got != http.StatusOK {
		t.Errorf("a good token: %d", got)
	}
	in.Suspend()
	if got := status(all); got != http.StatusUnauthorized {
		t.Errorf("suspended: %d", got)
	}
	in.Unsuspend()
	if got := status(all); got != http.StatusUnauthorized {
		t.Errorf("a token from before the suspension: %d", got)
	}
	fresh := asInstallation(t, g, in, whole)
	if got := status(fresh); got != http.StatusOK {
		t.Errorf("a token from after the suspension: %d", got)
	}
	g.Clock.Advance(time.Hour)
	if got := status(fresh); got != http.StatusUnauthorized {
		t.Errorf("expired: %d", got)
	}
}

func TestTokensThatAskForTooMuchAreRefused(t *testing.T) {
	t.Parallel()
	g, r, in, _ := yard(t, GitHubOptions{Permissions: map[string]string{"metadata": "read", "contents": "read"}})
	elsewhere := g.CreateRepo(t, "else/where", RepoOptions{})
	app := asApp(t, g)
	ctx := within(t)
	ask := func(o *github.InstallationTokenOptions) int {
		_, resp, err := app.Apps.CreateInstallationToken(ctx, in.ID(), o)
		if resp == nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	for _, c := range []struct {
		name string
		o    *github.InstallationTokenOptions
		want int
	}{
		{"fine", &github.InstallationTokenOptions{RepositoryIDs: []int64{r.ID()}}, http.StatusCreated},
		{"permission", &github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{Checks: github.String("write")}}, 422},
		{"repository", &github.InstallationTokenOptions{RepositoryIDs: []int64{elsewhere.ID()}}, 422},
	} {
		if got := ask(c.o); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	obeyed(t, g)
	unset := asInstallation(t, g, in, nil) // which asks with the body null
	if _, _, err := unset.Repositories.Get(ctx, "octo", "app"); err == nil || len(g.Violations()) == 0 {
		t.Errorf("the body null: %v, violations %q", err, g.Violations())
	}
	in.Uninstall()
	if got := ask(whole); got != http.StatusNotFound {
		t.Errorf("uninstalled: %d", got)
	}
}

func TestTheAppsClockHasToBeRight(t *testing.T) {
	t.Parallel()
	g, _, _, _ := yard(t, GitHubOptions{})
	for ahead, want := range map[time.Duration]bool{0: true, -2 * time.Minute: false, time.Minute: true, 5 * time.Minute: false} {
		g.Skew(ahead)
		_, _, err := asApp(t, g).Apps.Get(within(t), "")
		if (err == nil) != want {
			t.Errorf("GitHub's clock is ahead by %s: %v", ahead, err)
		}
	}
}

func TestWithoutTheDataNothingIsHeldAgainstIt(t *testing.T) {
	t.Parallel()
	g, _, in, _ := yard(t, GitHubOptions{Data: none})
	if _, _, err := asApp(t, g).Apps.Get(within(t), ""); err != nil || g.Validated() {
		t.Errorf("validated %v, %v", g.Validated(), err)
	}
	unset := asInstallation(t, g, in, nil) // which asks with the body null
	if _, _, err := unset.Repositories.Get(within(t), "octo", "app"); err == nil || len(g.Violations()) != 1 {
		t.Errorf("the body null: %v, violations %q", err, g.Violations())
	}
}
