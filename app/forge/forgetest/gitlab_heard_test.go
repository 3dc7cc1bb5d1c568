package forgetest

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
)

// heard keeps what a receiver of Velocity took.
type heard struct {
	mu  sync.Mutex
	all []hooks.Delivery
}

func (h *heard) Accept(_ context.Context, d hooks.Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, d)
	return nil
}

// events are what was heard, decoded, without what tells nothing.
func (h *heard) events(t *testing.T) []hooks.Event {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []hooks.Event
	for _, d := range h.all {
		all = append(all, must[hooks.Event](t)(hooks.Decode(d)))
	}
	return all
}

// What the fake sends is what Velocity's own receiver takes and understands.
func TestLabIsUnderstood(t *testing.T) {
	t.Parallel()
	const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for _, signed := range []bool{false, true} {
		s := newLab(t, GitLabOptions{})
		inbox := &heard{}
		tokens, keys := []hooks.Secret{must[hooks.Secret](t)(hooks.NewSecret("s3cret"))}, []hooks.Secret(nil)
		if signed {
			tokens, keys = nil, []hooks.Secret{must[hooks.Secret](t)(hooks.ParseSigningKey(key))}
		}
		receiver := httptest.NewServer(must[*hooks.GitLab](t)(hooks.NewGitLab(hooks.Receiver{Inbox: inbox, Now: time.Now}, tokens, keys)))
		t.Cleanup(receiver.Close)
		s.listen(t, true, receiver.URL)
		if signed {
			s.Sign(t, s.AllHooks(s.p)[0].ID, key)
		}
		fork := s.p.Fork(t, "runner")
		x := fork.Push(t, "x", Change{Files: map[string]string{"x": "1"}})
		main := s.p.Push(t, "main", Change{Files: map[string]string{"a": "2"}, Author: "root"})
		tag := s.p.PushAnnotatedTag(t, "v1", s.head, "one")
		s.p.PushRefs(t, "root", map[string]string{"refs/tags/v1": ""})
		m := s.p.OpenMerge(t, MergeOptions{Branch: "x", From: fork, Author: "runner"})
		y := fork.Push(t, "x", Change{Files: map[string]string{"x": "2"}, Author: "runner"})
		m.Comment("root", "/velocity approve "+y)
		m.Label("root", "ci")
		m.Close("root")
		s.told(t)
		if tag == s.head {
			t.Error("the tag has no object of its own")
		}
		root, octocat, runner := person(s, "root"), person(s, "octocat"), person(s, "runner")
		of := func(e hooks.Event) hooks.Event { // one of the merge request
			e.Pull, e.Target, e.Fork = 1, "refs/heads/main", true
			return e
		}
		want := []hooks.Event{
			{Kind: hooks.BranchPushed, Ref: "refs/heads/main", Commit: plan.Commit(main), Before: plan.Commit(s.head), Sender: root},
			{Kind: hooks.TagPushed, Ref: "refs/tags/v1", Commit: plan.Commit(s.head), Sender: octocat},
			{Kind: hooks.RefDeleted, Ref: "refs/tags/v1", Before: plan.Commit(tag), Sender: root},
			of(hooks.Event{Kind: hooks.PullOpened, Commit: plan.Commit(x), Sender: runner}),
			of(hooks.Event{Kind: hooks.PullPushed, Commit: plan.Commit(y), Before: plan.Commit(x), Sender: runner}),
			of(hooks.Event{Kind: hooks.Commanded, Action: hooks.AskApprove, Commit: plan.Commit(y), Sender: root}),
			of(hooks.Event{Kind: hooks.PullLabeled, Commit: plan.Commit(y), Labels: []string{"ci"}, Sender: root}),
			of(hooks.Event{Kind: hooks.PullClosed, Commit: plan.Commit(y), Sender: root}),
		}
		for i := range want {
			want[i].Repository, want[i].Name = s.p.ID(), "acme/anvil"
		}
		if diff := cmp.Diff(want, inbox.events(t), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("signed: %v: events (-want +got):\n%s", signed, diff)
		}
	}
}

func person(s *labStage, login string) hooks.Person {
	return hooks.Person{ID: s.User(login), Login: login}
}

// A system hook says the same of pushes, all refs of one at once, and does not say
// what was done to a merge request.
func TestLabSystemHooksAreUnderstood(t *testing.T) {
	t.Parallel()
	s := newLab(t, GitLabOptions{})
	inbox := &heard{}
	secret := must[hooks.Secret](t)(hooks.NewSecret("s3cret"))
	receiver := httptest.NewServer(must[*hooks.GitLab](t)(hooks.NewGitLab(hooks.Receiver{Inbox: inbox, Now: time.Now}, []hooks.Secret{secret}, nil)))
	t.Cleanup(receiver.Close)
	s.listen(t, false, receiver.URL)
	s.p.PushRefs(t, "root", map[string]string{"refs/heads/a": s.head, "refs/heads/b": s.head, "refs/heads/c": s.head, "refs/heads/d": s.head})
	s.p.PushRefs(t, "root", map[string]string{"refs/tags/v1": s.head})
	s.p.OpenMerge(t, MergeOptions{Branch: "a"})
	s.p.Rename("hammer")
	s.p.Delete()
	s.told(t)
	var got []hooks.Kind
	for _, e := range inbox.events(t) {
		got = append(got, e.Kind)
		if e.Repository != s.p.ID() {
			t.Errorf("%s is about project %d; want %d", e.Kind, e.Repository, s.p.ID())
		}
	}
	want := []hooks.Kind{
		hooks.RefsChanged, hooks.TagPushed, hooks.RefsChanged, hooks.PullOther, hooks.RepositoryChanged, hooks.RepositoryDeleted,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
