package liaison

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/project"
)

// A hub is a model of a forge.
type hub struct {
	mu    sync.Mutex
	repos map[int64]*model
	fails func(ctx context.Context) error // of each call, which may take its time
}

// A model is a repository of a hub.
type model struct {
	is      forge.Repository
	gone    bool
	refs    map[string]plan.Commit
	pulls   map[int64]*forge.Pull
	lagging bool  // git does not show heads of pull requests
	hidden  int64 // nor ever that of this one
}

func newHub() *hub {
	return &hub{repos: map[int64]*model{}, fails: func(context.Context) error { return nil }}
}

// repo makes a repository.
func (h *hub) repo(id int64, name string) *model {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.repos[id] = &model{
		is:   forge.Repository{Key: forge.Key{Kind: forge.GitHub, ID: id}, Name: name, DefaultBranch: main},
		refs: map[string]plan.Commit{}, pulls: map[int64]*forge.Pull{},
	}
	return h.repos[id]
}

// change changes what a repository is.
func (h *hub) change(id int64, how func(m *model)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	how(h.repos[id])
}

// trouble is what comes between, in place of an answer.
func (h *hub) trouble(ctx context.Context) error {
	h.mu.Lock()
	fails := h.fails
	h.mu.Unlock()
	return fails(ctx)
}

// ask answers a question about a repository.
func (h *hub) ask(ctx context.Context, id int64, answer func(m *model) error) error {
	if err := h.trouble(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.repos[id]
	if m == nil || m.gone {
		return forge.ErrGone
	}
	return answer(m)
}

func (h *hub) Repositories(ctx context.Context) (all []forge.Repository, err error) {
	if err := h.trouble(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.repos {
		if !m.gone {
			all = append(all, m.is)
		}
	}
	return all, nil
}

func (h *hub) Repository(ctx context.Context, _, id int64) (r forge.Repository, err error) {
	return r, h.ask(ctx, id, func(m *model) error { r = m.is; return nil })
}

func (h *hub) Pulls(ctx context.Context, r forge.Repository) (all []forge.Pull, err error) {
	return all, h.ask(ctx, r.ID, func(m *model) error {
		for _, n := range slices.Sorted(maps.Keys(m.pulls)) {
			if m.pulls[n].Open {
				all = append(all, *m.pulls[n])
			}
		}
		return nil
	})
}

func (h *hub) Pull(ctx context.Context, r forge.Repository, number int64) (p forge.Pull, err error) {
	return p, h.ask(ctx, r.ID, func(m *model) error {
		if m.pulls[number] == nil {
			return forge.ErrGone
		}
		p = *m.pulls[number]
		return nil
	})
}

func (h *hub) CanWrite(ctx context.Context, r forge.Repository, u forge.User) (may bool, err error) {
	return may, h.ask(ctx, r.ID, func(*model) error { may = u.ID == octo.ID || u.ID == friend.ID; return nil })
}

// A street is a model of the houses.
type street struct {
	hub *hub
	mu  sync.Mutex
	all map[int64]*house // also those that are not served now: their ledgers stay
}

func newStreet(h *hub) *street { return &street{hub: h, all: map[int64]*house{}} }

func (s *street) Open(_ context.Context, r forge.Repository) (House, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.all[r.ID]
	if h == nil {
		h = &house{hub: s.hub, id: r.ID, mirror: map[string]plan.Commit{}, tips: map[string]plan.Commit{}, known: map[string]bool{}}
		s.hub.change(r.ID, func(m *model) { maps.Copy(h.mirror, m.refs); maps.Copy(h.tips, m.refs) })
		s.all[r.ID] = h
	}
	h.served = true
	return h, nil
}

func (s *street) Resume(_ context.Context, r forge.Repository) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[r.ID].served = true
	return nil
}

// restart is a server's: the next one serves nothing yet.
func (s *street) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.all {
		h.served = false
	}
}

func (s *street) At(key forge.Key) (House, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.all[key.ID]
	return h, h != nil && h.served
}

func (s *street) Close(_ context.Context, key forge.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[key.ID].served = false
	return nil
}

// A house is a model of a repository that is served, with an architect who plans at
// once. log is what it was told.
type house struct {
	hub    *hub
	id     int64
	served bool // the street's lock holds it

	mu      sync.Mutex
	mirror  map[string]plan.Commit
	fetched int                    // times
	tips    map[string]plan.Commit // dealt with
	known   map[string]bool        // ids of triggers
	all     []*build.Build         // the oldest first
	log     []string
	breaks  bool // Accept panics
	mute    bool // Accept takes in, and fails
}

func (h *house) say(format string, args ...any) { h.log = append(h.log, fmt.Sprintf(format, args...)) }

// said returns the log, and empties it.
func (h *house) said() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	log := h.log
	h.log = nil
	return log
}

func (h *house) Refresh(ctx context.Context, r forge.Repository, pulls []int64) error {
	return h.hub.ask(ctx, h.id, func(m *model) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.fetched++
		maps.DeleteFunc(h.mirror, func(ref string, _ plan.Commit) bool { _, pull := r.Kind.PullOf(ref); return !pull })
		maps.Copy(h.mirror, m.refs)
		for _, n := range pulls {
			if p := m.pulls[n]; p != nil && !m.lagging && n != m.hidden {
				h.mirror[r.Kind.Ref(n)] = p.Head
			}
		}
		return nil
	})
}

func (h *house) Tidy(context.Context, []int64) error { return nil }

func (h *house) Tip(ref string) (plan.Commit, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.mirror[ref]
	return c, ok, nil
}

func (h *house) Accept(ctx context.Context, t plan.Trigger) error {
	err := h.hub.trouble(ctx) // it may be taken in all the same
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.breaks {
		panic("a poisoned object")
	}
	if !h.known[t.ID] {
		h.known[t.ID] = true
		h.say("accept %s", shown(t))
		h.plan(t)
	}
	if h.mute {
		return errDown
	}
	return err
}

// shown is a trigger in short.
func shown(t plan.Trigger) string {
	text := fmt.Sprintf("%s %s %s", t.Event, t.Ref, strings.TrimLeft(string(t.Commit), "0"))
	for _, more := range []string{t.Target, t.Head, string(t.Trust), t.Actor} {
		if more != "" {
			text += " " + more
		}
	}
	if t.Skip {
		text += " skip"
	}
	return text
}

// plan makes a build of a trigger, unless there is one that answers it.
func (h *house) plan(t plan.Trigger) {
	if t.Event == plan.EventPush && t.Parent == "" {
		h.tips[t.Ref] = t.Commit
	}
	if t.Skip || slices.ContainsFunc(h.all, func(b *build.Build) bool {
		of := b.Trigger
		return of.Commit == t.Commit && of.Event == t.Event && of.Ref == t.Ref && of.Target == t.Target && of.Request == t.Request && !b.Void()
	}) {
		return
	}
	b := &build.Build{Request: build.Request{
		ID: build.ID{Store: "k3f9a2", Number: int64(len(h.all) + 1)}, Name: "default", Plan: "digest", Trigger: t, Held: !t.Trusted(),
	}, Stages: []build.Stage{{Tasks: []build.Task{{State: build.Waiting}}}}}
	for _, other := range h.all {
		if t.Event == plan.EventPullRequest && other.Trigger.Event == t.Event && other.Trigger.Ref == t.Ref && t.Parent == "" && !other.State().Final() {
			other.Canceled = build.ReasonSuperseded + b.ID.String()
		}
	}
	h.all = append(h.all, b)
}

func (h *house) Look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ref, c := range h.mirror {
		if (plan.Branch(ref) != "" || plan.Tag(ref) != "") && h.tips[ref] != c {
			h.say("found %s %s", ref, strings.TrimLeft(string(c), "0"))
			h.plan(plan.Trigger{Event: plan.EventPush, Ref: ref, Commit: c})
		}
	}
	maps.DeleteFunc(h.tips, func(ref string, _ plan.Commit) bool { return h.mirror[ref] == "" })
}

func (h *house) Find(_ context.Context, id build.ID) (*build.Build, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.all {
		if b.ID == id {
			return b.Clone(), true, nil
		}
	}
	return nil, false, nil
}

// which are copies of the builds that are wanted, the newest first.
func (h *house) which(wanted func(*build.Build) bool) (all []*build.Build) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range slices.Backward(h.all) {
		if wanted(b) {
			all = append(all, b.Clone())
		}
	}
	return all
}

func (h *house) Builds(_ context.Context, c plan.Commit) ([]*build.Build, error) {
	return h.which(func(b *build.Build) bool { return b.Trigger.Commit == c }), nil
}

func (h *house) Unfinished() []*build.Build {
	return h.which(func(b *build.Build) bool { return !b.State().Final() })
}

func (h *house) Rerun(_ context.Context, b *build.Build, failed bool, as plan.Trigger) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[as.ID] {
		return nil
	}
	h.known[as.ID] = true
	h.say("rerun %s failed=%v by %s", b.ID, failed, as.Actor)
	t := b.Trigger
	t.ID, t.Request, t.Parent = as.ID, as.ID, b.ID.String()
	h.plan(t)
	return nil
}

func (h *house) Approve(_ context.Context, b *build.Build, by string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !b.AwaitsApproval() {
		return build.ErrNotHeld
	}
	h.all[b.ID.Number-1].Approval = &build.Approval{By: by}
	h.say("approve %s by %s", b.ID, by)
	return nil
}

func (h *house) Cancel(_ context.Context, b *build.Build, reason string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[b.ID.Number-1].Canceled = reason
	h.say("cancel %s: %s", b.ID, reason)
	return nil
}

func (h *house) End(ctx context.Context, g Gone, reason string) error {
	if err := h.hub.trouble(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.say("end %s %s %s: %s", g.Event, g.Ref, strings.TrimLeft(string(g.Commit), "0"), reason)
	for _, b := range h.all {
		t := b.Trigger
		if (g.Event == "" || g.Event == t.Event) && (g.Ref == "" || g.Ref == t.Ref) && (g.Commit == "" || g.Commit == t.Commit) && !b.State().Final() {
			b.Canceled = reason
		}
	}
	return nil
}

// poison has Accept panic.
func (h *house) poison(is bool) { h.mu.Lock(); defer h.mu.Unlock(); h.breaks = is }

// finish ends a build as a builder would.
func (h *house) finish(number int, as build.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[number-1].Stages[0].Tasks[0].State = as
}

// register is a model of our records of repositories.
type register struct {
	mu  sync.Mutex
	all map[string]project.Project
}

func (r *register) Put(_ context.Context, p project.Project) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.all[p.Key]
	p.Since = old.Since
	if old.State != p.State {
		p.Since = time.Now()
	}
	r.all[p.Key] = p
	return old != p, nil
}

func (r *register) Get(_ context.Context, key string) (project.Project, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.all[key]; ok {
		return p, nil
	}
	return project.Project{}, project.ErrNone
}

func (r *register) List(context.Context) ([]project.Project, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.all)), nil
}
