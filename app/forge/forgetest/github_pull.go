package forgetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Pull is a pull request on a fake GitHub.
type Pull struct {
	to      *Repo
	from    *Repo
	id      int64
	number  int
	branch  string // of the head, without refs/heads/
	base    string // branch that it is for
	head    string // newest commit
	title   string
	author  *Account
	labels  []string
	draft   bool
	open    bool
	merged  string // the merge commit; "" if it is not merged
	made    time.Time
	changed time.Time
	closed  time.Time
}

// PullOptions say what a pull request is.
type PullOptions struct {
	Branch string // where its commits are
	From   *Repo  // the fork that has the branch; nil is the repository itself
	Base   string // "" is the default branch
	Title  string
	Author string // "" is octocat
	Draft  bool
}

// OpenPull opens a pull request.
func (r *Repo) OpenPull(tb TB, o PullOptions) *Pull {
	tb.Helper()
	defer r.g.hold()()
	if o.From == nil {
		o.From = r
	}
	if o.Base == "" {
		o.Base = r.branch
	}
	if o.Title == "" {
		o.Title = "Change " + o.Branch
	}
	head, err := o.From.bare.Resolve("refs/heads/" + o.Branch)
	if err != nil || head == "" {
		tb.Fatalf("open pull request: branch %s of %s: %q, %v", o.Branch, o.From.fullName(), head, err)
	}
	r.numbers++
	now := r.g.Clock.Now()
	p := &Pull{
		to: r, from: o.From, id: r.g.id(), number: r.numbers, branch: o.Branch, base: o.Base, head: head,
		title: o.Title, author: r.pusher(o.Author), draft: o.Draft, open: true, made: now, changed: now,
	}
	if err := p.fetch(); err != nil {
		tb.Fatalf("open pull request: %v", err)
	}
	r.pulls = append(r.pulls, p)
	p.tell("opened", p.author, nil)
	return p
}

// Number is how people know it.
func (p *Pull) Number() int64 { return int64(p.number) }

// Head is its newest commit.
func (p *Pull) Head() string {
	defer p.to.g.hold()()
	return p.head
}

// fetch brings refs/pull/N/head of the repository up to date.
func (p *Pull) fetch() error {
	ref := fmt.Sprintf("refs/pull/%d/head", p.number)
	if p.from == p.to {
		return p.to.bare.Put(ref, p.head)
	}
	return p.to.bare.Take(p.from.bare, p.head, ref)
}

// tell sends a webhook about the pull request.
func (p *Pull) tell(action string, by *Account, more object) {
	p.changed = p.to.g.Clock.Now()
	body := object{"number": p.number, "pull_request": p.to.g.pullJSON(p, true)}
	maps.Copy(body, more)
	p.to.g.send(p.to.g.installation(p.to), p.to, "pull_request", action, by, body)
}

// follow takes a new head, or closes the pull request if its branch is gone.
func (p *Pull) follow(by *Account, head string) error {
	if head == "" {
		p.open, p.closed = false, p.to.g.Clock.Now()
		p.tell("closed", by, nil)
		return nil
	}
	before := p.head
	p.head = head
	if err := p.fetch(); err != nil {
		return err
	}
	p.tell("synchronize", by, object{"before": before, "after": head})
	return nil
}

// act does something to the pull request in somebody's name, and tells it.
func (p *Pull) act(action, login string, more object, do func(by *Account)) {
	defer p.to.g.hold()()
	by := p.to.pusher(login)
	do(by)
	p.tell(action, by, more)
}

// Close closes it without a merge.
func (p *Pull) Close(by string) {
	p.act("closed", by, nil, func(*Account) { p.open, p.closed = false, p.to.g.Clock.Now() })
}

// Reopen opens it again.
func (p *Pull) Reopen(by string) {
	p.act("reopened", by, nil, func(*Account) { p.open, p.closed = true, time.Time{} })
}

// Ready ends that it is a draft.
func (p *Pull) Ready(by string) {
	p.act("ready_for_review", by, nil, func(*Account) { p.draft = false })
}

// ConvertToDraft makes it a draft again.
func (p *Pull) ConvertToDraft(by string) {
	p.act("converted_to_draft", by, nil, func(*Account) { p.draft = true })
}

// Label adds a label.
func (p *Pull) Label(by, label string) {
	p.act("labeled", by, object{"label": labelJSON(label)}, func(*Account) { p.labels = append(p.labels, label) })
}

// Unlabel takes a label off.
func (p *Pull) Unlabel(by, label string) {
	p.act("unlabeled", by, object{"label": labelJSON(label)}, func(*Account) {
		p.labels = slices.DeleteFunc(p.labels, func(l string) bool { return l == label })
	})
}

// Retarget makes it one for another branch.
func (p *Pull) Retarget(by, base string) {
	defer p.to.g.hold()()
	old := p.base
	p.base = base
	p.tell("edited", p.to.pusher(by), object{"changes": object{"base": object{
		"ref": object{"from": old}, "sha": object{"from": p.to.tip(old)},
	}}})
}

// EditTitle changes nothing that matters to a build.
func (p *Pull) EditTitle(by, title string) {
	defer p.to.g.hold()()
	old := p.title
	p.title = title
	p.tell("edited", p.to.pusher(by), object{"changes": object{"title": object{"from": old}}})
}

// Merge merges it into its base.
func (p *Pull) Merge(tb TB, login string) string {
	tb.Helper()
	defer p.to.g.hold()()
	r, by := p.to, p.to.pusher(login)
	commit, err := r.bare.Merge(r.tip(p.base), p.head, fmt.Sprintf("Merge pull request #%d", p.number), r.g.Clock.Now())
	if err == nil {
		p.open, p.merged, p.closed = false, commit, r.g.Clock.Now()
		err = r.set(by, "refs/heads/"+p.base, commit)
	}
	if err != nil {
		tb.Fatalf("merge pull request %d: %v", p.number, err)
	}
	p.tell("closed", by, nil)
	return commit
}

// tip is the commit of a branch; "" if there is none.
func (r *Repo) tip(branch string) string {
	commit, err := r.bare.Resolve("refs/heads/" + branch)
	if err != nil {
		return ""
	}
	return commit
}

func (p *Pull) state() string {
	if p.open {
		return "open"
	}
	return "closed"
}

// listPulls answers GET /repos/{owner}/{repo}/pulls.
func (g *GitHub) listPulls(q *request) (any, error) {
	values := q.URL.Query()
	state := values.Get("state")
	if state == "" {
		state = "open"
	}
	list := []object{}
	for _, p := range slices.Backward(q.repo.pulls) {
		owned := p.from.owner.Login + ":" + p.branch
		if (state == "all" || state == p.state()) &&
			(values.Get("base") == "" || values.Get("base") == p.base) &&
			(values.Get("head") == "" || strings.EqualFold(values.Get("head"), owned)) {
			list = append(list, g.pullJSON(p, false))
		}
	}
	if values.Get("direction") == "asc" {
		slices.Reverse(list)
	}
	return pageOf(g, q, list), nil
}

// pull is the one of the path.
func (q *request) pull(name string) (*Pull, error) {
	for _, p := range q.repo.pulls {
		if int64(p.number) == q.number(name) {
			return p, nil
		}
	}
	return nil, notFound
}

// getPull answers GET /repos/{owner}/{repo}/pulls/{pull_number}.
func (g *GitHub) getPull(q *request) (any, error) {
	p, err := q.pull("pull_number")
	if err != nil {
		return nil, err
	}
	return g.pullJSON(p, true), nil
}

// commitPulls answers GET /repos/{owner}/{repo}/commits/{ref}/pulls.
func (g *GitHub) commitPulls(q *request) (any, error) {
	list := []object{}
	for _, p := range q.repo.pulls {
		if p.head == q.PathValue("ref") {
			list = append(list, g.pullJSON(p, false))
		}
	}
	return pageOf(g, q, list), nil
}

// pullCommits answers GET /repos/{owner}/{repo}/pulls/{pull_number}/commits.
func (g *GitHub) pullCommits(q *request) (any, error) {
	p, err := q.pull("pull_number")
	if err != nil {
		return nil, err
	}
	log, err := q.repo.bare.Log(250, q.repo.tip(p.base)+".."+p.head)
	if err != nil {
		return nil, err
	}
	list := []object{}
	for _, c := range slices.Backward(log) {
		list = append(list, g.commitJSON(q.repo, c))
	}
	return pageOf(g, q, list), nil
}

// pullFiles answers GET /repos/{owner}/{repo}/pulls/{pull_number}/files.
func (g *GitHub) pullFiles(q *request) (any, error) {
	p, err := q.pull("pull_number")
	if err != nil {
		return nil, err
	}
	base, err := q.repo.bare.git(nil, nil, "merge-base", q.repo.tip(p.base), p.head)
	if err != nil {
		return nil, &refusal{status: http.StatusUnprocessableEntity, message: "there is no common history"}
	}
	changed, err := q.repo.bare.Changed(base, p.head)
	if err != nil {
		return nil, err
	}
	words := map[string]string{"A": "added", "D": "removed", "M": "modified", "T": "changed"}
	list := []object{}
	for _, path := range sortedKeys(changed) {
		page := fmt.Sprintf("%s/%s/blob/%s/%s", g.URL(), q.repo.fullName(), p.head, path)
		list = append(list, object{
			"sha": p.head, "filename": path, "status": words[changed[path]], "additions": 1, "deletions": 0, "changes": 1,
			"blob_url": page, "raw_url": page, "contents_url": page,
		})
	}
	return pageOf(g, q, list), nil
}
