package forgetest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A comment is one on a pull request.
type comment struct {
	id     int64
	number int // of the pull request
	by     *Account
	body   string
	at     time.Time
}

// Comment writes on the pull request.
func (p *Pull) Comment(by, body string) {
	defer p.to.g.hold()()
	p.to.comment(p, p.to.pusher(by), body)
}

// comment adds one and tells it.
func (r *Repo) comment(p *Pull, by *Account, body string) comment {
	c := comment{id: r.g.id(), number: p.number, by: by, body: body, at: r.g.Clock.Now()}
	r.comments = append(r.comments, c)
	r.g.send(r.g.installation(r), r, "issue_comment", "created", by, object{
		"issue": r.g.issueJSON(p), "comment": r.g.commentJSON(r, c),
	})
	return c
}

// Comments are what was written on a pull request, oldest first.
func (p *Pull) Comments() []string {
	defer p.to.g.hold()()
	var all []string
	for _, c := range p.to.comments {
		if c.number == p.number {
			all = append(all, c.body)
		}
	}
	return all
}

// issueJSON is a pull request as the issue that it is, too.
func (g *GitHub) issueJSON(p *Pull) object {
	full := g.pullJSON(p, false)
	page, _ := full["html_url"].(string)
	issue, _ := full["issue_url"].(string)
	o := object{
		"url": issue, "repository_url": g.URL() + "/api/v3/repos/" + p.to.fullName(), "labels_url": issue + "/labels{/name}",
		"comments_url": issue + "/comments", "events_url": issue + "/events", "timeline_url": issue + "/timeline",
		"html_url": page, "comments": 0, "state_reason": nil, "performed_via_github_app": nil,
		"reactions":    object{"url": issue + "/reactions", "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0, "confused": 0, "heart": 0, "rocket": 0, "eyes": 0},
		"pull_request": object{"url": full["url"], "html_url": page, "diff_url": full["diff_url"], "patch_url": full["patch_url"], "merged_at": full["merged_at"]},
	}
	for _, key := range []string{
		"id", "node_id", "number", "title", "user", "labels", "state", "locked", "assignee", "assignees", "milestone",
		"created_at", "updated_at", "closed_at", "author_association", "active_lock_reason", "body", "draft",
	} {
		o[key] = full[key]
	}
	return o
}

// commentJSON is a comment.
func (g *GitHub) commentJSON(r *Repo, c comment) object {
	api := fmt.Sprintf("%s/api/v3/repos/%s/issues", g.URL(), r.fullName())
	url := fmt.Sprintf("%s/comments/%d", api, c.id)
	return object{
		"id": c.id, "node_id": node("IC", c.id), "url": url, "issue_url": fmt.Sprintf("%s/%d", api, c.number),
		"html_url": fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", g.URL(), r.fullName(), c.number, c.id),
		"user":     g.userJSON(c.by), "body": c.body, "created_at": stamp(c.at), "updated_at": stamp(c.at),
		"author_association": "CONTRIBUTOR", "performed_via_github_app": nil, "pin": nil,
		"reactions": object{"url": url + "/reactions", "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0, "confused": 0, "heart": 0, "rocket": 0, "eyes": 0},
	}
}

// listComments answers GET /repos/{owner}/{repo}/issues/{issue_number}/comments.
func (g *GitHub) listComments(q *request) (any, error) {
	list := []object{}
	for _, c := range q.repo.comments {
		if int64(c.number) == q.number("issue_number") {
			list = append(list, g.commentJSON(q.repo, c))
		}
	}
	return pageOf(g, q, list), nil
}

// createComment answers POST /repos/{owner}/{repo}/issues/{issue_number}/comments.
func (g *GitHub) createComment(q *request) (any, error) {
	p, err := q.pull("issue_number")
	if err != nil {
		return nil, err
	}
	var ask struct{ Body string }
	if err := q.decode(&ask); err != nil {
		return nil, err
	}
	if ask.Body == "" {
		return nil, wrong("body cannot be blank")
	}
	return created(g.commentJSON(q.repo, q.repo.comment(p, g.account(g.app.Slug+"[bot]"), ask.Body))), nil
}

// sendRun tells the App of something about a check run of its own.
func (g *GitHub) sendRun(in *Installation, c *run, action string, by *Account, more object) {
	o := g.runJSON(c)
	s := g.suiteJSON(c.suite)
	o["check_suite"] = s
	body := object{"check_run": o}
	maps.Copy(body, more)
	g.send(in, c.repo, "check_run", action, by, body)
}

// sendSuite tells the App of something about its check suite of a commit.
func (g *GitHub) sendSuite(in *Installation, s *suite, action string, by *Account) {
	g.send(in, s.repo, "check_suite", action, by, object{"check_suite": g.suiteJSON(s)})
}

// Click presses a button of a completed check run.
func (g *GitHub) Click(tb TB, check int64, identifier, by string) {
	tb.Helper()
	defer g.hold()()
	c := g.runs[check]
	if c == nil || c.now().Status != "completed" ||
		!slices.ContainsFunc(c.now().Actions, func(a RunAction) bool { return a.Identifier == identifier }) {
		tb.Fatalf("check run %d shows no button %q", check, identifier)
	}
	g.sendRun(g.installation(c.repo), c, "requested_action", g.account(by), object{"requested_action": object{"identifier": identifier}})
}

// RerunCheck asks for one check run to run again.
func (g *GitHub) RerunCheck(tb TB, check int64, by string) {
	tb.Helper()
	defer g.hold()()
	c := g.runs[check]
	if c == nil || c.now().Status != "completed" {
		tb.Fatalf("check run %d cannot run again", check)
	}
	g.sendRun(g.installation(c.repo), c, "rerequested", g.account(by), nil)
}

// RerunChecks asks for all checks of a commit to run again.
func (r *Repo) RerunChecks(tb TB, sha, by string) {
	tb.Helper()
	defer r.g.hold()()
	s := r.g.suites[suiteKey{r.id, sha}]
	if s == nil {
		tb.Fatalf("commit %s has no check suite", sha)
	}
	r.g.sendSuite(r.g.installation(r), s, "rerequested", r.g.account(by))
}

// A Group is a merge group: a pull request on its way through the merge queue.
type Group struct {
	pull      *Pull
	ref, head string
	base      string // commit
	log       Log
}

// Head is the commit that is to be checked.
func (m *Group) Head() string { return m.head }

// Ref is the full name of the branch that has it.
func (m *Group) Ref() string { return m.ref }

// Enqueue puts the pull request into the merge queue, which asks for checks.
func (p *Pull) Enqueue(tb TB, login string) *Group {
	tb.Helper()
	defer p.to.g.hold()()
	r, by := p.to, p.to.pusher(login)
	m := &Group{pull: p, base: r.tip(p.base)}
	m.ref = fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", p.base, p.number, m.base)
	var err error
	if m.head, err = r.bare.Merge(m.base, p.head, fmt.Sprintf("Merge pull request #%d", p.number), r.g.Clock.Now()); err != nil {
		tb.Fatalf("enqueue pull request %d: %v", p.number, err)
	}
	log, err := r.bare.Log(1, m.head)
	if err == nil {
		m.log = log[0]
		err = r.set(by, m.ref, m.head)
	}
	if err != nil {
		tb.Fatalf("enqueue pull request %d: %v", p.number, err)
	}
	m.tell("checks_requested", by, nil)
	return m
}

// tell sends a webhook about the group.
func (m *Group) tell(action string, by *Account, more object) {
	body := object{"merge_group": object{
		"head_sha": m.head, "head_ref": m.ref, "base_sha": m.base, "base_ref": "refs/heads/" + m.pull.base,
		"head_commit": simpleCommit(m.log),
	}}
	maps.Copy(body, more)
	r := m.pull.to
	r.g.send(r.g.installation(r), r, "merge_group", action, by, body)
}

// Merge ends the group by merging it.
func (m *Group) Merge(tb TB, login string) {
	tb.Helper()
	m.end(tb, login, "merged")
}

// Dequeue ends the group because the pull request left the queue.
func (m *Group) Dequeue(tb TB, login string) {
	tb.Helper()
	m.end(tb, login, "dequeued")
}

// Invalidate ends the group because another one before it changed.
func (m *Group) Invalidate(tb TB, login string) {
	tb.Helper()
	m.end(tb, login, "invalidated")
}

func (m *Group) end(tb TB, login, reason string) {
	tb.Helper()
	r := m.pull.to
	defer r.g.hold()()
	by := r.pusher(login)
	err := r.set(by, m.ref, "")
	if err == nil && reason == "merged" {
		m.pull.open, m.pull.merged, m.pull.closed = false, m.head, r.g.Clock.Now()
		err = r.set(by, "refs/heads/"+m.pull.base, m.head)
	}
	if err != nil {
		tb.Fatalf("end merge group of pull request %d: %v", m.pull.number, err)
	}
	m.tell("destroyed", by, object{"reason": reason})
	if reason == "merged" {
		m.pull.tell("closed", by, nil)
	}
}
