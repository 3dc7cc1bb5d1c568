package gitlab

import (
	"context"
	"net/http"
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

func TestPostIsSilentAboutWhatRunsSoon(t *testing.T) {
	s := newStage(t, 1)
	soon := s.check("b1")
	soon.Soon = true
	var told forge.Told
	if n := s.calls(func() { told = s.post(t, soon, told) }); len(n) != 0 || told.External != "b1" {
		t.Errorf("calls %v, told %+v", n, told)
	}
	s.post(t, s.begun("b1"), told)
	if diff := cmp.Diff([][]string{{"running"}}, s.histories()); diff != "" {
		t.Error(diff)
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

func TestAForksMergeRequestShowsItWhereItMay(t *testing.T) {
	life := []func(*stage) forge.Check{
		func(s *stage) forge.Check { return s.check("b1") },
		func(s *stage) forge.Check { return s.begun("b1") },
		func(s *stage) forge.Check { return s.ended("b1", forge.Success) },
	}
	show := func(s *stage, m *forgetest.Merge) forge.Told {
		var told forge.Told
		for _, state := range life {
			s.gitlab = s.open(t)
			told = s.post(t, of(m, state(s)), told)
		}
		return told
	}
	want := []string{"pending", "running", "success"}

	t.Run("in the project that it is for", func(t *testing.T) {
		s := newStage(t, 1)
		fork, m := s.fork(t)
		told := show(s, m)
		got := s.there.Statuses(m.Head())
		if len(got) != 1 || got[0].Ref != "refs/merge-requests/1/head" || !cmp.Equal(got[0].History, want) || !told.Done {
			t.Errorf("%+v", got)
		}
		if len(fork.Statuses(m.Head()))+len(m.Notes()) != 0 {
			t.Error("it is shown elsewhere, too")
		}
	})
	t.Run("in the fork", func(t *testing.T) {
		s := newStage(t, 1)
		s.there.Mute()
		fork, m := s.fork(t)
		fork.Member("velocity", 30, time.Time{})
		told := show(s, m)
		got := fork.Statuses(m.Head())
		if len(got) != 1 || got[0].Ref != "beep" || !cmp.Equal(got[0].History, want) || told.ID != got[0].Pipeline {
			t.Errorf("%+v", got)
		}
	})
	for _, gone := range []bool{false, true} {
		t.Run("in a note", func(t *testing.T) {
			s := newStage(t, 1)
			s.there.Mute()
			fork, m := s.fork(t)
			if gone {
				fork.Delete()
			}
			m.Comment("wile", "nice <!-- velocity%20%2F%20default -->")
			told := show(s, m)
			notes := m.Notes()
			if len(notes) != 2 || !strings.Contains(notes[1].Body, "success") || !strings.Contains(notes[1].Body, "/builds/b1") || told.ID != 0 {
				t.Errorf("%+v, told %+v", notes, told)
			}
		})
	}
}

func TestAFailedBuildOfAMergeRequestHasANote(t *testing.T) {
	s := newStage(t, 1)
	s.there.Push(t, "x", forgetest.Change{Files: map[string]string{"x": "y"}})
	m := s.there.OpenMerge(t, forgetest.MergeOptions{Branch: "x"})
	told := s.post(t, of(m, s.ended("b0", forge.Success)), forge.Told{})
	if notes := m.Notes(); len(notes) != 0 {
		t.Errorf("of a build that passed: %+v", notes)
	}
	bad := of(m, s.ended("b1", forge.Failure))
	bad.Summary = "| test | why |\n/close\n@all TestX: glpat-0123456789abc"
	told = s.post(t, bad, told)
	notes := m.Notes()
	if len(notes) != 1 || !strings.Contains(notes[0].Body, "TestX: ***") || !strings.Contains(notes[0].Body, "failed") {
		t.Fatalf("of a build that failed: %+v", notes)
	}
	s.gitlab = s.open(t)
	told = s.post(t, of(m, s.ended("b2", forge.Success)), told)
	if again := m.Notes(); len(again) != 1 || again[0].ID != notes[0].ID || strings.Contains(again[0].Body, "TestX") ||
		!strings.Contains(again[0].Body, "success") {
		t.Errorf("of one that passed after it: %+v", again)
	}
	task := of(m, s.ended("b3/test", forge.Failure))
	task.Name = "velocity / default / test"
	s.post(t, task, forge.Told{})
	s.gitlab = s.open(t, func(o *Options) { o.NoSummaries = true })
	off := of(m, s.ended("b4", forge.Failure))
	off.Name = "velocity / other"
	s.post(t, off, forge.Told{})
	if notes := m.Notes(); len(notes) != 1 {
		t.Errorf("of a task, or when it is off: %+v", notes)
	}
}

func TestANoteThatIsRefusedIsNotMissed(t *testing.T) {
	s := newStage(t, 1)
	s.there.Push(t, "x", forgetest.Change{Files: map[string]string{"x": "y"}})
	m := s.there.OpenMerge(t, forgetest.MergeOptions{Branch: "x"})
	refuse := func(status int) {
		s.faults.Inject(forgetest.OnCall(http.MethodPost, "/notes"), forgetest.Mishap{Kind: forgetest.Refused, Status: status})
	}
	refuse(http.StatusForbidden)
	if told := s.post(t, of(m, s.ended("b1", forge.Failure)), forge.Told{}); !told.Done {
		t.Errorf("told %+v", told)
	}
	refuse(http.StatusBadGateway)
	if told, err := s.gitlab.Post(t.Context(), of(m, s.ended("b2", forge.Failure)), forge.Told{}); err == nil || told.Done || told.ID == 0 {
		t.Errorf("told %+v, %v", told, err)
	}
	s.post(t, of(m, s.ended("b2", forge.Failure)), forge.Told{})
	if len(m.Notes()) != 1 || len(s.there.Statuses(m.Head())) != 2 {
		t.Errorf("%+v, %+v", m.Notes(), s.there.Statuses(m.Head()))
	}
}
