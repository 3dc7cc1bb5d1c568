package gitlab

import (
	"errors"
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

// A stage is a fake GitLab with one private project in which our bot is a Developer.
type stage struct {
	lab    *forgetest.GitLab
	faults *forgetest.Faults
	there  *forgetest.Project
	token  *forgetest.LabToken
	commit plan.Commit

	gitlab  *GitLab
	project forge.Repository
}

// newStage begins with everything going well. All requests have to be as GitLab
// describes them, and no note may command GitLab.
func newStage(t *testing.T, seed uint64, change ...func(*forgetest.GitLabOptions)) *stage {
	t.Helper()
	s := &stage{faults: forgetest.NewFaults(seed, forgetest.Odds{})}
	o := forgetest.GitLabOptions{Dir: t.TempDir(), Data: require.ForgeData(unvalidated{t}), Faults: s.faults}
	for _, f := range change {
		f(&o)
	}
	var err error
	if s.lab, err = forgetest.NewGitLab(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, v := range append(s.lab.Violations(), s.lab.Commands()...) {
			t.Errorf("against the rules: %s", v)
		}
		s.lab.Close()
	})
	s.there = s.lab.CreateProject(t, "acme/tools/anvil", forgetest.ProjectOptions{Private: true})
	s.commit = plan.Commit(s.there.Push(t, "main", forgetest.Change{Files: map[string]string{"README": "anvil"}}))
	s.there.Member("velocity", 30, time.Time{})
	s.token = s.lab.Token("velocity", "api")
	s.gitlab = s.open(t)
	if s.project, err = s.gitlab.Project(t.Context(), s.there.ID()); err != nil {
		t.Fatal(err)
	}
	return s
}

// unvalidated lets a test go on without the recordings, where they are not demanded:
// the fake's own rules hold without them.
type unvalidated struct{ *testing.T }

func (unvalidated) Skipf(string, ...any) {}

// open makes a GitLab as a new process would.
func (s *stage) open(t *testing.T, change ...func(*Options)) *GitLab {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := Options{
		URL: s.lab.URL(), Token: NewToken(s.token.Value), Transport: transport,
		Now: s.lab.Clock.Now, Log: slog.New(slog.DiscardHandler), UserAgent: "velocity-test",
	}
	for _, f := range change {
		f(&o)
	}
	g, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// check is one of a build.
func (s *stage) check(build string) forge.Check {
	return forge.Check{
		Repository: s.project, Commit: s.commit, Ref: "refs/heads/main", Name: "velocity / default", External: build,
		Title: "Build " + build, Summary: "is under way", Page: "https://ci.example.com/builds/" + build,
	}
}

// begun is the check of a build that runs, and ended that of one that is over.
func (s *stage) begun(build string) forge.Check {
	c := s.check(build)
	c.State = forge.Running
	return c
}

func (s *stage) ended(build string, how forge.Conclusion) forge.Check {
	c := s.check(build)
	c.State, c.Conclusion = forge.Final, how
	return c
}

// post posts, which has to succeed.
func (s *stage) post(t *testing.T, c forge.Check, told forge.Told) forge.Told {
	t.Helper()
	told, err := s.gitlab.Post(t.Context(), c, told)
	if err != nil {
		t.Fatalf("post %s: %v", c.External, err)
	}
	return told
}

// histories are the states that the statuses of the commit had, in the order in
// which they were made.
func (s *stage) histories() [][]string {
	var all [][]string
	for _, one := range s.there.Statuses(string(s.commit)) {
		all = append(all, one.History)
	}
	return all
}

// calls counts the requests that a function causes, by method.
func (s *stage) calls(do func()) map[string]int {
	before := len(s.lab.Calls())
	do()
	n := map[string]int{}
	for _, c := range s.lab.Calls()[before:] {
		n[c.Method]++
	}
	return n
}

// inject makes the next so many posts of a status go wrong.
func (s *stage) inject(m forgetest.Mishap, times int) {
	s.faults.Inject(func(r *http.Request) bool { return r.Method == http.MethodPost }, slices.Repeat([]forgetest.Mishap{m}, times)...)
}

// fork makes a fork of the project with a branch, and a merge request from it.
func (s *stage) fork(t *testing.T) (*forgetest.Project, *forgetest.Merge) {
	t.Helper()
	fork := s.there.Fork(t, "runner")
	fork.Push(t, "beep", forgetest.Change{Files: map[string]string{"beep": "beep"}})
	return fork, s.there.OpenMerge(t, forgetest.MergeOptions{Branch: "beep", From: fork, Author: "runner"})
}

// of makes the check one of a merge request.
func of(m *forgetest.Merge, c forge.Check) forge.Check {
	c.Pull, c.Ref, c.Commit = m.Number(), forge.GitLab.Ref(m.Number()), plan.Commit(m.Head())
	return c
}

func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v; want %v", what, err, kind)
	}
}
