package gitlab

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestPostShowsABuild(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.check("b1"), forge.Told{})
	if told.External != "b1" || told.State != forge.Queued || told.Done || told.ID == 0 || told.Digest == "" || told.At.IsZero() {
		t.Errorf("told %+v", told)
	}
	n := s.calls(func() {
		for range 2 {
			told = s.post(t, s.begun("b1"), told)
		}
	})
	if n["POST"] != 1 || n["GET"] != 0 {
		t.Errorf("calls %v", n)
	}
	told = s.post(t, s.ended("b1", forge.Success), told)
	s.gitlab = s.open(t)
	if n := s.calls(func() { s.post(t, s.ended("b1", forge.Success), told) }); len(n) != 0 {
		t.Errorf("calls after the end %v", n)
	}
	got := s.there.Statuses(string(s.commit))
	want := []forgetest.LabStatus{{
		ID: got[0].ID, Project: s.there.ID(), Pipeline: told.ID, Name: "velocity / default", Ref: "main", State: "success",
		Target: "https://ci.example.com/builds/b1", Description: "Build b1", By: "velocity", History: []string{"pending", "running", "success"},
	}}
	if diff := cmp.Diff(want, got); diff != "" || !told.Done {
		t.Errorf("statuses (-want +got):\n%s\ntold %+v", diff, told)
	}
	if refused := s.lab.Transitions(); refused != nil {
		t.Errorf("refused: %q", refused)
	}
}

func TestARerunIsAFreshStatus(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.ended("b1", forge.Failure), forge.Told{})
	told = s.post(t, s.begun("b2"), told)
	s.post(t, s.ended("b2", forge.Success), told)
	if diff := cmp.Diff([][]string{{"failed"}, {"running", "success"}}, s.histories()); diff != "" {
		t.Error(diff)
	}
}

func TestABuildThatNobodyEndedIsReplaced(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.begun("b1"), forge.Told{})
	told = s.post(t, s.begun("b2"), told)
	s.gitlab = s.open(t)
	told = s.post(t, s.check("b3"), told)
	s.post(t, s.ended("b4", forge.Success), told)
	want := [][]string{{"running", "canceled"}, {"running", "canceled"}, {"pending", "success"}}
	if diff := cmp.Diff(want, s.histories()); diff != "" {
		t.Error(diff)
	}
	last := s.there.Statuses(string(s.commit))[2]
	if !strings.HasSuffix(last.Target, "/b4") || len(s.lab.Transitions()) != 0 {
		t.Errorf("%+v, refused %q", last, s.lab.Transitions())
	}
}

func TestAHeldBuildWaits(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.ended("b1/held", forge.ActionRequired), forge.Told{})
	if !told.Done {
		t.Errorf("told %+v", told)
	}
	told = s.post(t, s.begun("b1"), told)
	s.post(t, s.ended("b1", forge.Success), told)
	if diff := cmp.Diff([][]string{{"pending", "running", "success"}}, s.histories()); diff != "" {
		t.Error(diff)
	}
}

// A record that is lost, a state that another process posted: what GitLab shows is
// found out, and nothing is said twice.
func TestPostFindsOutWhatItDoesNotKnow(t *testing.T) {
	for _, page := range []string{"https://ci.example.com/builds/b1", ""} {
		s := newStage(t, 1)
		for _, state := range []forge.Check{s.check("b1"), s.begun("b1"), s.ended("b1", forge.Failure)} {
			state.Page = page
			for range 2 {
				s.gitlab = s.open(t)
				s.post(t, state, forge.Told{})
			}
		}
		s.gitlab = s.open(t)
		late := s.begun("b1")
		late.Page = page
		s.post(t, late, forge.Told{})
		if diff := cmp.Diff([][]string{{"pending", "running", "failed"}}, s.histories()); diff != "" {
			t.Error(diff)
		}
		if refused := s.lab.Transitions(); refused != nil {
			t.Errorf("refused: %q", refused)
		}
	}
}

func TestAStateThatIsThereAlreadyIsNoError(t *testing.T) {
	s := newStage(t, 1)
	other := s.open(t)
	told := s.post(t, s.check("b1"), forge.Told{})
	if _, err := other.Post(t.Context(), s.begun("b1"), told); err != nil {
		t.Fatal(err)
	}
	told = s.post(t, s.begun("b1"), told) // as far as is known, it is pending
	if len(s.lab.Transitions()) != 1 {
		t.Errorf("refused: %q; want one", s.lab.Transitions())
	}
	s.post(t, s.ended("b1", forge.Success), told)
	if diff := cmp.Diff([][]string{{"pending", "running", "success"}}, s.histories()); diff != "" {
		t.Error(diff)
	}
}

func TestStatusesOfOthersAreLeftAlone(t *testing.T) {
	s := newStage(t, 1)
	bot, name := s.token, s.check("b1")
	s.there.Member("other", 40, time.Time{})
	s.token = s.lab.Token("other", "api")
	theirs := s.open(t)
	if _, err := theirs.Post(t.Context(), s.ended("b1", forge.Failure), forge.Told{}); err != nil {
		t.Fatal(err)
	}
	s.token = bot
	told := s.post(t, name, forge.Told{})
	s.post(t, s.ended("b1", forge.Success), told)
	if diff := cmp.Diff([][]string{{"failed"}, {"pending", "success"}}, s.histories()); diff != "" {
		t.Error(diff)
	}
}

func TestStatusesStayInTheirPipeline(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.begun("b1"), forge.Told{})
	first := told.ID
	s.there.AddPipeline(string(s.commit), "main", false) // of GitLab's own
	told = s.post(t, s.ended("b1", forge.Success), told)
	if got := s.there.Statuses(string(s.commit)); len(got) != 1 || got[0].Pipeline != first || told.ID != first {
		t.Errorf("%+v, told %+v; want all in %d", got, told, first)
	}
	s.there.DeletePipelines()
	told = s.post(t, s.begun("b2"), told)
	s.post(t, s.ended("b2", forge.Success), told)
	if diff := cmp.Diff([][]string{{"running", "success"}}, s.histories()); diff != "" || told.ID == first {
		t.Errorf("told %+v%s", told, diff)
	}
}

func TestTagsAndMergeRequestsHaveTheirRefs(t *testing.T) {
	s := newStage(t, 1)
	s.there.PushRefs(t, "wile", map[string]string{"refs/tags/v1": string(s.commit)})
	s.there.Push(t, "feature/x", forgetest.Change{Files: map[string]string{"x": "y"}})
	m := s.there.OpenMerge(t, forgetest.MergeOptions{Branch: "feature/x"})
	tag := s.begun("b1")
	tag.Ref = "refs/tags/v1"
	s.post(t, tag, forge.Told{})
	n := s.calls(func() { s.post(t, of(m, s.begun("b2")), forge.Told{}) })
	told := s.post(t, of(m, s.ended("b2", forge.Success)), forge.Told{})
	if got := s.there.Statuses(string(s.commit)); len(got) != 1 || got[0].Ref != "v1" {
		t.Errorf("of the tag: %+v", got)
	}
	if got := s.there.Statuses(m.Head()); len(got) != 1 || got[0].Ref != "feature/x" || got[0].Pipeline != told.ID || n["POST"] != 1 {
		t.Errorf("of the merge request: %+v, calls %v", got, n)
	}
	odd := s.begun("b3")
	odd.Ref = "refs/notes/x"
	_, err := s.gitlab.Post(t.Context(), odd, forge.Told{})
	wantKind(t, "of a ref that is none of these", err, forge.ErrInvalid)
}

func TestRefusalsSayTheWayOut(t *testing.T) {
	s := newStage(t, 1)
	s.there.Protect("main")
	_, err := s.gitlab.Post(t.Context(), s.begun("b1"), forge.Told{})
	wantKind(t, "on a protected branch", err, forge.ErrForbidden)
	if !strings.Contains(err.Error(), "Maintainer") {
		t.Errorf("it does not say what to do: %v", err)
	}
	s.there.Member("velocity", 40, time.Time{})
	s.post(t, s.begun("b1"), forge.Told{})

	s.commit = plan.Commit(s.there.Push(t, "full", forgetest.Change{Files: map[string]string{"full": "y"}}))
	s.there.AddPipeline(string(s.commit), "full", true)
	full := s.begun("b2")
	full.Ref = "refs/heads/full"
	_, err = s.gitlab.Post(t.Context(), full, forge.Told{})
	wantKind(t, "into a full pipeline", err, forge.ErrInvalid)

	unknown := s.begun("b3")
	unknown.Commit = plan.Commit(strings.Repeat("1", 40))
	_, err = s.gitlab.Post(t.Context(), unknown, forge.Told{})
	wantKind(t, "of a commit that is not there", err, forge.ErrGone)
	unknown.Commit = "main"
	_, err = s.gitlab.Post(t.Context(), unknown, forge.Told{})
	wantKind(t, "of no commit", err, forge.ErrInvalid)

	s.token = s.lab.Token("velocity", "read_api")
	_, err = s.open(t).Post(t.Context(), s.ended("b1", forge.Success), forge.Told{})
	wantKind(t, "with a token that may only read", err, forge.ErrForbidden)
	if !strings.Contains(err.Error(), "scope api") {
		t.Errorf("it does not say what is missing: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.gitlab.Post(ctx, s.ended("b1", forge.Success), forge.Told{})
	wantKind(t, "when nobody waits", err, context.Canceled)
}
