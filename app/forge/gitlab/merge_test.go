package gitlab

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

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
			for range perPage { // so that ours is on the next page
				m.Comment("wile", "nice <!-- velocity%20%2F%20default -->")
			}
			told := show(s, m)
			notes := m.Notes()[perPage:]
			if len(notes) != 1 || !strings.Contains(notes[0].Body, "success") || !strings.Contains(notes[0].Body, "/builds/b1") || told.ID != 0 {
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
	s.post(t, of(m, s.ended("b2", forge.Success)), told)
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
