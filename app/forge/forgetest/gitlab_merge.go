package forgetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// A Merge is a merge request on a fake GitLab.
type Merge struct {
	to      *Project
	from    *Project
	id      int64
	number  int64
	branch  string // of the source, without refs/heads/
	target  string
	head    string
	title   string
	author  *labUser
	labels  []string
	draft   bool
	state   string // opened, closed or merged
	notes   []*labNote
	made    time.Time
	changed time.Time
}

// MergeOptions say what a merge request is.
type MergeOptions struct {
	Branch string   // where its commits are
	From   *Project // the fork that has the branch; nil is the project itself
	Target string   // "" is the default branch
	Author string   // "" is octocat
	Draft  bool
}

// OpenMerge opens a merge request.
func (p *Project) OpenMerge(tb TB, o MergeOptions) *Merge {
	tb.Helper()
	defer p.g.hold()()
	if o.From == nil {
		o.From = p
	}
	if o.Target == "" {
		o.Target = p.branch
	}
	head, err := o.From.bare.Resolve("refs/heads/" + o.Branch)
	if err != nil || head == "" {
		tb.Fatalf("open merge request: branch %s of %s: %q, %v", o.Branch, o.From.path, head, err)
	}
	now := p.g.Clock.Now()
	m := &Merge{
		to: p, from: o.From, id: p.g.id(), number: int64(len(p.merges) + 1), branch: o.Branch, target: o.Target, head: head,
		title: "Change " + o.Branch, author: p.g.user(o.Author), draft: o.Draft, state: "opened", made: now, changed: now,
	}
	if err := m.fetch(); err != nil {
		tb.Fatalf("open merge request: %v", err)
	}
	p.merges = append(p.merges, m)
	m.tell("open", m.author, nil, nil)
	return m
}

// Number is how people know it.
func (m *Merge) Number() int64 { return m.number }

// Head is its newest commit.
func (m *Merge) Head() string {
	defer m.to.g.hold()()
	return m.head
}

// fetch brings refs/merge-requests/N/head of the project up to date.
func (m *Merge) fetch() error {
	ref := fmt.Sprintf("refs/merge-requests/%d/head", m.number)
	if m.from == m.to {
		return m.to.bare.Put(ref, m.head)
	}
	return m.to.bare.Take(m.from.bare, m.head, ref)
}

// act does something to the merge request in somebody's name, and tells it.
func (m *Merge) act(action, login string, do func() (changes object)) {
	defer m.to.g.hold()()
	by := m.to.g.user(login)
	m.tell(action, by, nil, do())
}

// Close closes it without a merge.
func (m *Merge) Close(by string) {
	m.act("close", by, func() object { m.state = "closed"; return nil })
}

// Reopen opens it again.
func (m *Merge) Reopen(by string) {
	m.act("reopen", by, func() object { m.state = "opened"; return nil })
}

// Label adds a label.
func (m *Merge) Label(by, label string) {
	m.act("update", by, func() object {
		old := labLabels(m.labels)
		m.labels = append(m.labels, label)
		return object{"labels": object{"previous": old, "current": labLabels(m.labels)}}
	})
}

// Ready ends that it is a draft.
func (m *Merge) Ready(by string) {
	m.act("update", by, func() object {
		m.draft = false
		return object{"draft": object{"previous": true, "current": false}}
	})
}

// Retarget makes it one for another branch.
func (m *Merge) Retarget(by, target string) {
	m.act("update", by, func() object {
		old := m.target
		m.target = target
		return object{"target_branch": object{"previous": old, "current": target}}
	})
}

// Merge merges it into its target.
func (m *Merge) Merge(tb TB, login string) string {
	tb.Helper()
	defer m.to.g.hold()()
	p, by := m.to, m.to.g.user(login)
	base, err := p.bare.Resolve("refs/heads/" + m.target)
	var commit string
	if err == nil {
		commit, err = p.bare.Merge(base, m.head, fmt.Sprintf("Merge !%d", m.number), p.g.Clock.Now())
	}
	if err == nil {
		m.state = "merged"
		err = p.bare.Put("refs/heads/"+m.target, commit)
	}
	if err == nil {
		err = p.moved(by, []update{{"refs/heads/" + m.target, base, commit}})
	}
	if err != nil {
		tb.Fatalf("merge !%d: %v", m.number, err)
	}
	m.tell("merge", by, nil, nil)
	return commit
}

// tell sends the webhooks of a merge request. A system hook is not told the action.
func (m *Merge) tell(action string, by *labUser, more, changes object) {
	m.changed = m.to.g.Clock.Now()
	if changes == nil {
		changes = object{}
	}
	attributes := m.attributes()
	maps.Copy(attributes, more)
	body := object{
		"object_kind": "merge_request", "event_type": "merge_request", "user": hookUser(by), "project": m.to.hookJSON(),
		"object_attributes": attributes, "labels": labLabels(m.labels), "changes": changes,
		"repository": object{"name": m.to.path, "homepage": m.to.g.URL() + "/" + m.to.path},
	}
	m.to.g.sendSystem("merge_request", m.to, body)
	withAction := maps.Clone(attributes)
	withAction["action"] = action
	body = maps.Clone(body)
	body["object_attributes"] = withAction
	m.to.g.sendProject(m.to, "merge_requests_events", "Merge Request Hook", body)
}

func hookUser(u *labUser) object {
	return object{"id": u.ID, "name": u.Login, "username": u.Login, "avatar_url": nil, "email": "[REDACTED]"}
}

func labLabels(names []string) []object {
	all := []object{}
	for i, name := range names {
		all = append(all, object{"id": i + 1, "title": name, "color": "#000000", "type": "ProjectLabel"})
	}
	return all
}

// attributes are what webhooks say of it.
func (m *Merge) attributes() object {
	o := object{
		"id": m.id, "iid": m.number, "author_id": m.author.ID, "title": m.title, "description": "", "state": m.state,
		"source_branch": m.branch, "target_branch": m.target, "source_project_id": m.from.id, "target_project_id": m.to.id,
		"source": m.from.hookJSON(), "target": m.to.hookJSON(), "draft": m.draft, "work_in_progress": m.draft,
		"merge_status": "unchecked", "last_commit": object{"id": m.head}, "url": m.page(),
		"created_at": stamp(m.made), "updated_at": stamp(m.changed),
	}
	if log, err := m.to.bare.Log(1, m.head); err == nil && len(log) == 1 {
		o["last_commit"] = m.to.commitJSON(log[0])
	}
	if m.from.deleted {
		o["source"], o["source_project_id"] = nil, nil
	}
	return o
}

func (m *Merge) page() string {
	return fmt.Sprintf("%s/%s/-/merge_requests/%d", m.to.g.URL(), m.to.path, m.number)
}

func (g *GitLab) mergeJSON(m *Merge) object {
	labels := m.labels
	if labels == nil {
		labels = []string{}
	}
	o := object{
		"id": m.id, "iid": m.number, "project_id": m.to.id, "title": m.title, "description": "", "state": m.state,
		"created_at": stamp(m.made), "updated_at": stamp(m.changed), "source_branch": m.branch, "target_branch": m.target,
		"source_project_id": m.from.id, "target_project_id": m.to.id, "author": g.userJSON(m.author), "labels": labels,
		"draft": m.draft, "work_in_progress": m.draft, "sha": m.head, "web_url": m.page(),
	}
	if m.from.deleted {
		o["source_project_id"] = nil
	}
	return o
}

// listMerges answers GET /projects/{id}/merge_requests.
func (g *GitLab) listMerges(q *labRequest) (any, error) {
	state := q.URL.Query().Get("state")
	all := []object{}
	for _, m := range q.project.merges {
		if state == "" || state == "all" || state == m.state {
			all = append(all, g.mergeJSON(m))
		}
	}
	if q.URL.Query().Get("sort") != "asc" {
		slices.Reverse(all)
	}
	return labPage(g, q, all), nil
}

// merge is the merge request of the path.
func (q *labRequest) merge() (*Merge, error) {
	n := q.number("merge_request_iid")
	if n < 1 || n > int64(len(q.project.merges)) {
		return nil, labRefuse(http.StatusNotFound, "404 Not found")
	}
	return q.project.merges[n-1], nil
}

// getMerge answers GET /projects/{id}/merge_requests/{merge_request_iid}.
func (g *GitLab) getMerge(q *labRequest) (any, error) {
	m, err := q.merge()
	if err != nil {
		return nil, err
	}
	return g.mergeJSON(m), nil
}
