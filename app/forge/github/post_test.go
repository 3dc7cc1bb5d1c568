package github

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

func TestPostFollowsABuild(t *testing.T) {
	s := newStage(t, 1)
	c := s.check("b1")
	told := s.post(t, c, forge.Told{})
	c.State, c.Started, c.Summary = forge.Running, s.hub.Clock.Now(), "one of two"
	told = s.post(t, c, told)
	if again := s.calls(func() { told = s.post(t, c, told) }); len(again) != 0 {
		t.Errorf("an equal check caused %v", again)
	}
	c = s.done("b1", 120)
	if n := s.calls(func() { told = s.post(t, c, told) }); n["PATCH"] != 3 || len(n) != 1 {
		t.Errorf("120 annotations and the end took %v; want 3 PATCH", n)
	}
	if again := s.calls(func() { told = s.post(t, c, told) }); len(again) != 0 {
		t.Errorf("a final check caused %v", again)
	}
	runs := s.runs()
	if len(runs) != 1 || runs[0].Status != "completed" || runs[0].Conclusion != "failure" || len(runs[0].Annotations) != 120 ||
		runs[0].ExternalID != "b1" || runs[0].DetailsURL != c.Page || len(runs[0].Actions) != 1 || runs[0].Started.IsZero() {
		t.Fatalf("runs %+v", runs)
	}
	if !told.Done || told.Annotations != 120 || told.ID != runs[0].ID {
		t.Errorf("told %+v", told)
	}
}

func TestPostNeverGoesBack(t *testing.T) {
	s := newStage(t, 1)
	c := s.done("b1", 0)
	told := s.post(t, c, forge.Told{})
	for _, late := range []forge.Check{s.check("b1"), s.done("b1", 3)} {
		late.Title = "late"
		if n := s.calls(func() { s.post(t, late, told) }); len(n) != 0 {
			t.Errorf("a late check in state %d caused %v", late.State, n)
		}
	}
	// Nor if the record is lost: the run is found.
	s.post(t, s.check("b1"), forge.Told{})
	if runs := s.runs(); len(runs) != 1 || runs[0].Status != "completed" {
		t.Errorf("runs %+v", runs)
	}
}

func TestPostMakesANewRunForANewBuild(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.done("b1", 2), forge.Told{})
	told = s.post(t, s.check("b2"), told)
	told = s.post(t, s.done("b2", 2), told)
	runs := s.runs()
	if len(runs) != 2 || runs[0].ExternalID != "b1" || runs[1].ExternalID != "b2" || runs[1].ID != told.ID || len(runs[1].Annotations) != 2 {
		t.Errorf("runs %+v", runs)
	}
}

func TestPostGivesAnUnfinishedRunToTheNextBuild(t *testing.T) {
	s := newStage(t, 1)
	c := s.check("b1")
	c.State = forge.Running
	told := s.post(t, c, forge.Told{})
	told = s.post(t, s.check("b2"), told) // which is not started, but the run is
	if again := s.calls(func() { told = s.post(t, s.check("b2"), told) }); len(again) != 0 {
		t.Errorf("an equal check caused %v", again)
	}
	s.post(t, s.done("b2", 1), told)
	if runs := s.runs(); len(runs) != 1 || runs[0].ExternalID != "b2" || runs[0].Status != "completed" {
		t.Errorf("runs %+v", runs)
	}
}

func TestPostLeavesNoUnfinishedRunBehind(t *testing.T) {
	s := newStage(t, 1)
	s.post(t, s.check("b1"), forge.Told{})
	s.app = s.open(t) // a new process, whose record of it is lost
	s.post(t, s.done("b2", 60), forge.Told{})
	if runs := s.runs(); len(runs) != 1 || runs[0].ExternalID != "b2" || !complete(runs[0], s.done("b2", 60)) {
		t.Errorf("runs %+v", runs)
	}
}

func TestPostGoesOnAfterAnApproval(t *testing.T) {
	s := newStage(t, 1)
	held := s.check("b1/approval")
	held.State, held.Conclusion, held.Ended = forge.Final, forge.ActionRequired, s.hub.Clock.Now()
	held.Actions = []forge.Action{{Identifier: forge.DoApprove, Label: "Approve", Description: "Build this commit"}}
	told := s.post(t, held, forge.Told{})
	if n := s.calls(func() { told = s.post(t, held, told) }); len(n) != 0 {
		t.Errorf("a held check that is shown caused %v", n)
	}
	c := s.check("b1")
	c.State = forge.Running
	told = s.post(t, c, told)
	s.app = s.open(t) // a new process, with no record
	told = s.post(t, c, forge.Told{})
	told = s.post(t, s.done("b1", 1), told)
	runs := s.runs()
	if len(runs) != 2 || runs[0].Conclusion != "action_required" || runs[1].Conclusion != "failure" || len(runs[1].Annotations) != 1 {
		t.Fatalf("runs %+v", runs)
	}
	if len(runs[0].Actions) != 1 || runs[0].Actions[0].Identifier != "approve" || told.ID != runs[1].ID {
		t.Errorf("buttons %+v, told %+v", runs[0].Actions, told)
	}
}

func TestPostFindsOutWhatALostAnswerDid(t *testing.T) {
	for name, mishap := range map[string]forgetest.Mishap{
		"cut": {Kind: forgetest.Cut}, "unanswered": {Kind: forgetest.Unanswered}, "refused": {Kind: forgetest.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 1)
			told := forge.Told{}
			post := func(c forge.Check, anew bool) {
				t.Helper()
				before := told
				var err error
				if told, err = s.app.Post(t.Context(), c, told); err == nil {
					t.Fatal("a lost answer is no error")
				}
				if anew { // the process was killed before it could record anything
					s.app, told = s.open(t), before
				}
			}
			for _, anew := range []bool{false, true} {
				s.faults.Inject(forgetest.OnCall(http.MethodPost, "/check-runs"), mishap)
				post(s.check("b1"), anew)
				told = s.post(t, s.check("b1"), told)
				for range 3 {
					s.faults.Inject(changes, mishap)
					post(s.done("b1", 130), anew)
				}
				told = s.post(t, s.done("b1", 130), told)
				runs := s.runs()
				if len(runs) != 1 || !complete(runs[0], s.done("b1", 130)) {
					t.Fatalf("runs %+v", runs)
				}
				s.commit = s.push(t)
				told = forge.Told{}
			}
		})
	}
}

// changes matches what changes a run.
func changes(r *http.Request) bool { return r.Method == http.MethodPatch }

// complete reports whether a run shows the end of a check, with every annotation
// once and in its order.
func complete(r forgetest.CheckRun, c forge.Check) bool {
	if r.Status != "completed" || r.Conclusion != string(c.Conclusion) || len(r.Annotations) != len(c.Annotations) {
		return false
	}
	for i, a := range c.Annotations {
		if r.Annotations[i].Message != a.Message {
			return false
		}
	}
	return true
}

func TestPostSendsLessWhenItIsRefused(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.check("b1"), forge.Told{})
	s.refuse(changes, 1)
	c := s.done("b1", 60)
	told = s.post(t, c, told)
	runs := s.runs()
	if len(runs) != 1 || runs[0].Conclusion != "failure" || len(runs[0].Annotations) != 0 || !strings.Contains(runs[0].Summary, "refused") {
		t.Errorf("runs %+v", runs)
	}
	if n := s.calls(func() { s.post(t, c, told) }); len(n) != 0 {
		t.Errorf("it is tried again: %v", n)
	}
	s.refuse(forgetest.OnCall(http.MethodPost, "/check-runs"), 9)
	s.commit = s.push(t)
	n := s.calls(func() {
		if _, err := s.app.Post(t.Context(), s.check("b2"), forge.Told{}); !errors.Is(err, forge.ErrInvalid) {
			t.Errorf("Post = %v; want ErrInvalid", err)
		}
	})
	if n["POST"] != 2 {
		t.Errorf("%v; want two tries", n)
	}
}

func TestPostMakesARunBeforeGitHubGivesItUp(t *testing.T) {
	s := newStage(t, 1)
	c := s.check("b1")
	told := s.post(t, c, forge.Told{})
	s.advance(12 * 24 * time.Hour)
	if n := s.calls(func() { s.post(t, c, told) }); len(n) != 0 {
		t.Errorf("after 12 days: %v", n)
	}
	c.Summary = "still waiting"
	told = s.post(t, c, told)
	s.advance(36 * time.Hour)
	told = s.post(t, c, told) // it was told 36 hours ago, and made 13 and a half days ago
	c.Summary = "waiting on"
	told = s.post(t, c, told)
	if runs := s.runs(); len(runs) != 2 || runs[1].Status != "queued" || runs[1].ID != told.ID {
		t.Fatalf("runs %+v", runs)
	}
	s.advance(15 * 24 * time.Hour)
	s.app = s.open(t)
	s.post(t, s.done("b1", 1), told)
	if runs := s.runs(); len(runs) != 3 || runs[2].Conclusion != "failure" {
		t.Errorf("runs %+v", runs)
	}
}

func TestPostFollowsARename(t *testing.T) {
	s := newStage(t, 1)
	told := s.post(t, s.check("b1"), forge.Told{})
	s.there.Rename("hammer")
	told = s.post(t, s.done("b1", 60), told)
	if runs := s.runs(); len(runs) != 1 || !complete(runs[0], s.done("b1", 60)) || !told.Done {
		t.Errorf("runs %+v", runs)
	}
}

func TestPostShowsStatusesWithoutThePermission(t *testing.T) {
	s := newStage(t, 1)
	s.in.Accept(map[string]string{"metadata": "read", "contents": "read", "statuses": "write", "pull_requests": "read"})
	s.app = s.open(t)
	told := s.post(t, s.check("b1"), forge.Told{})
	if n := s.calls(func() { told = s.post(t, s.check("b1"), told) }); len(n) != 0 {
		t.Errorf("an equal status caused %v", n)
	}
	c := s.done("b1", 60)
	c.Title = strings.Repeat("世", 100)
	told = s.post(t, c, told)
	if n := s.calls(func() { told = s.post(t, s.check("b1"), told) }); len(n) != 0 || !told.Done {
		t.Errorf("a late status caused %v", n)
	}
	if len(s.runs()) != 0 {
		t.Error("there are check runs")
	}
	want := []forgetest.CommitStatus{
		{State: "pending", Context: c.Name, Description: "Build b1", TargetURL: c.Page},
		{State: "failure", Context: c.Name, Description: strings.Repeat("世", 45) + "…", TargetURL: c.Page},
	}
	if diff := cmp.Diff(want, s.there.Statuses(string(s.commit))); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	s.in.Accept(map[string]string{"metadata": "read"})
	s.app = s.open(t)
	if _, err := s.app.Post(t.Context(), s.check("b2"), told); !errors.Is(err, forge.ErrForbidden) {
		t.Errorf("Post without any permission = %v", err)
	}
}

func TestPostStopsWhenItIsLimited(t *testing.T) {
	for _, limit := range forgetest.Limits {
		s := newStage(t, 1)
		s.faults.Inject(forgetest.OnCall(http.MethodPost, "/check-runs"), limit)
		told, err := s.app.Post(t.Context(), s.check("b1"), forge.Told{})
		var until *forge.LimitError
		if !errors.As(err, &until) {
			t.Fatalf("%+v: Post = %v", limit, err)
		}
		if n := s.calls(func() { _, err = s.app.Post(t.Context(), s.check("b1"), told) }); len(n) != 0 || !errors.As(err, &until) {
			t.Errorf("%+v: while limited: %v, %v", limit, n, err)
		}
		s.advance(until.Until.Sub(s.hub.Clock.Now()) + time.Second)
		s.post(t, s.check("b1"), told)
	}
}

func TestPostMakesARunAfterGitHubGaveItUp(t *testing.T) {
	s := newStage(t, 1)
	s.post(t, s.check("b1"), forge.Told{})
	s.advance(15 * 24 * time.Hour)
	s.app = s.open(t) // a new process, whose record of it is lost
	s.post(t, s.done("b1", 1), forge.Told{})
	if runs := s.runs(); len(runs) != 2 || runs[0].Conclusion != "stale" || !complete(runs[1], s.done("b1", 1)) {
		t.Errorf("runs %+v", runs)
	}
}

func TestPostLeavesTheAnnotationsOfAnotherBuildWhereTheyAre(t *testing.T) {
	for _, anew := range []bool{false, true} {
		s := newStage(t, 1)
		told := s.post(t, s.check("b1"), forge.Told{})
		s.faults.Inject(changes, forgetest.Mishap{}, forgetest.Mishap{Kind: forgetest.Refused})
		told, err := s.app.Post(t.Context(), s.done("b1", 60), told)
		if err == nil || told.Annotations != 50 {
			t.Fatalf("%+v, %v; want 50 annotations and an error", told, err)
		}
		if anew {
			s.app, told = s.open(t), forge.Told{}
		}
		s.post(t, s.done("b2", 1), told)
		if runs := s.runs(); len(runs) != 2 || !complete(runs[1], s.done("b2", 1)) {
			t.Errorf("runs %+v", runs)
		}
	}
}
