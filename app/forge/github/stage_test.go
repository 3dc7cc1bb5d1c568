package github

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// A stage is a fake GitHub with one repository that the App is let into.
type stage struct {
	hub    *forgetest.GitHub
	faults *forgetest.Faults
	in     *forgetest.Installation
	there  *forgetest.Repo
	commit plan.Commit

	app   *App
	repo  forge.Repository
	ahead time.Duration
}

// newStage begins with everything going well. All requests have to be as GitHub
// describes them.
func newStage(t *testing.T, seed uint64) *stage {
	t.Helper()
	s := &stage{faults: forgetest.NewFaults(seed, forgetest.Odds{})}
	var err error
	s.hub, err = forgetest.NewGitHub(forgetest.GitHubOptions{Dir: t.TempDir(), Data: require.ForgeData(unvalidated{t}), Faults: s.faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, v := range s.hub.Violations() {
			t.Errorf("against the rules: %s", v)
		}
		s.hub.Close()
	})
	s.there = s.hub.CreateRepo(t, "acme/anvil", forgetest.RepoOptions{})
	s.commit = plan.Commit(s.there.Push(t, "main", forgetest.Change{Files: map[string]string{"README": "anvil"}}))
	s.in = s.hub.Install(t, "acme")
	s.app = s.open(t)
	if s.repo, err = s.app.Repository(t.Context(), s.in.ID(), s.there.ID()); err != nil {
		t.Fatal(err)
	}
	return s
}

// unvalidated lets a test go on without the recordings, where they are not demanded:
// the fake's own rules hold without them.
type unvalidated struct{ *testing.T }

func (unvalidated) Skipf(string, ...any) {}

// open makes an App as a new process would.
func (s *stage) open(t *testing.T) *App {
	t.Helper()
	known := s.hub.App(t)
	a, err := Open(Options{
		API: s.hub.URL() + "/api/v3", AppID: known.ID, Key: []byte(known.PEM()), Transport: &http.Transport{},
		Now: s.hub.Clock.Now, Log: slog.New(slog.DiscardHandler), UserAgent: "velocity-test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.options.Transport.(*http.Transport).CloseIdleConnections)
	return a
}

// advance moves the clock of both sides. That of the App's signatures is set apart,
// since most clients make them by the machine's.
func (s *stage) advance(d time.Duration) {
	s.ahead += d
	s.hub.Clock.Advance(d)
	s.hub.Skew(s.ahead)
}

// check is one of a build.
func (s *stage) check(build string) forge.Check {
	return forge.Check{
		Repository: s.repo, Commit: s.commit, Ref: "refs/heads/main", Name: "velocity / default", External: build,
		Title: "Build " + build, Summary: "is under way", Page: "https://ci.example.com/builds/" + build,
	}
}

// done is the check of a build that is over, with so many annotations.
func (s *stage) done(build string, annotations int) forge.Check {
	c := s.check(build)
	c.State, c.Conclusion, c.Started, c.Ended = forge.Final, forge.Failure, s.hub.Clock.Now(), s.hub.Clock.Now()
	for i := range annotations {
		c.Annotations = append(c.Annotations, forge.Annotation{
			Path: "a.go", Line: i + 1, Level: "failure", Message: fmt.Sprintf("%s says %d", build, i),
		})
	}
	c.Actions = []forge.Action{{Identifier: forge.DoRerun, Label: "Re-run", Description: "Build it again"}}
	return c
}

// post posts, which has to succeed.
func (s *stage) post(t *testing.T, c forge.Check, told forge.Told) forge.Told {
	t.Helper()
	told, err := s.app.Post(t.Context(), c, told)
	if err != nil {
		t.Fatalf("post %s: %v", c.External, err)
	}
	return told
}

// runs are those of the commit, the oldest first.
func (s *stage) runs() []forgetest.CheckRun { return s.hub.Checks(string(s.commit)) }

// push makes another commit.
func (s *stage) push(t *testing.T) plan.Commit {
	t.Helper()
	return plan.Commit(s.there.Push(t, "main", forgetest.Change{Files: map[string]string{"README": "anvil after " + string(s.commit)}}))
}

// refuse makes GitHub refuse the next so many requests as invalid.
func (s *stage) refuse(match func(*http.Request) bool, times int) {
	s.faults.Inject(match, slices.Repeat([]forgetest.Mishap{{Kind: forgetest.Refused, Status: http.StatusUnprocessableEntity}}, times)...)
}

// calls counts the requests that a function causes, by method.
func (s *stage) calls(do func()) map[string]int {
	before := len(s.hub.Calls())
	do()
	n := map[string]int{}
	for _, c := range s.hub.Calls()[before:] {
		n[c.Method]++
	}
	return n
}
