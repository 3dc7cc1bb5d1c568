package forgetest

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Project is a project on a fake GitLab. Its methods do what people do there, and
// send the webhooks that come of it.
type Project struct {
	g         *GitLab
	id        int64
	path      string // group/sub/name
	branch    string // the default one, without refs/heads/
	private   bool
	archived  bool
	deleted   bool
	parent    *Project // that it is a fork of; nil if it is none
	bare      *Bare
	members   map[int64]member // by number of the user
	protected []string         // branches and tags
	mute      bool             // refs of merge requests take no status
	merges    []*Merge
	made      time.Time
}

type member struct {
	level   int
	expires time.Time // zero if it does not
}

// ProjectOptions say how a project is made.
type ProjectOptions struct {
	Private bool
	Branch  string // the default branch; "" is main
}

// CreateProject makes an empty project "group/name".
func (g *GitLab) CreateProject(tb TB, path string, o ProjectOptions) *Project {
	tb.Helper()
	defer g.hold()()
	if o.Branch == "" {
		o.Branch = "main"
	}
	p, err := g.newProject(path, o)
	if err != nil {
		tb.Fatalf("create project %s: %v", path, err)
	}
	return p
}

func (g *GitLab) newProject(path string, o ProjectOptions) (*Project, error) {
	if g.find(path) != nil {
		return nil, fmt.Errorf("%s is there already", path)
	}
	id := g.id()
	bare, err := NewBare(filepath.Join(g.dir, fmt.Sprintf("%d.git", id)), o.Branch)
	if err != nil {
		return nil, err
	}
	p := &Project{g: g, id: id, path: path, branch: o.Branch, private: o.Private, bare: bare, members: map[int64]member{}, made: g.Clock.Now()}
	g.projects[id] = p
	return p, nil
}

// find finds a project by number or path.
func (g *GitLab) find(which string) *Project {
	id, err := strconv.ParseInt(which, 10, 64)
	if p := g.projects[id]; err == nil && p != nil && !p.deleted {
		return p
	}
	for _, p := range g.projects {
		if strings.EqualFold(p.path, which) && !p.deleted {
			return p
		}
	}
	return nil
}

// ID is the project's number, which stays.
func (p *Project) ID() int64 { return p.id }

// Path is the project's path as of now.
func (p *Project) Path() string {
	defer p.g.hold()()
	return p.path
}

// CloneURL is where git fetches from, as of now.
func (p *Project) CloneURL() string { return p.g.URL() + "/" + p.Path() + ".git" }

// Bare is the repository itself. What is done to it directly nobody is told.
func (p *Project) Bare() *Bare { return p.bare }

// Member gives a user an access level: 10 guest, 20 reporter, 30 developer, 40
// maintainer, 50 owner, 0 none; until a day, if it is not zero.
func (p *Project) Member(login string, level int, until time.Time) {
	defer p.g.hold()()
	u := p.g.user(login)
	if level == 0 {
		delete(p.members, u.ID)
		return
	}
	p.members[u.ID] = member{level: level, expires: until}
}

// Privatize hides it from who is no member, without a word to anybody.
func (p *Project) Privatize() {
	defer p.g.hold()()
	p.private = true
}

// Protect lets only maintainers push to a branch or tag, and set its statuses.
func (p *Project) Protect(name string) {
	defer p.g.hold()()
	p.protected = append(p.protected, name)
}

// Mute has the refs of merge requests from forks take no status.
func (p *Project) Mute() {
	defer p.g.hold()()
	p.mute = true
}

// level is the access level of a user. One that is over may still be listed.
func (p *Project) level(u *labUser) int {
	m := p.members[u.ID]
	if !m.expires.IsZero() && !p.g.Clock.Now().Before(m.expires) {
		return 0
	}
	return m.level
}

func (p *Project) shows(u *labUser) bool { return !p.private || u.Admin || p.level(u) > 0 }

// Fork makes a fork in somebody's namespace.
func (p *Project) Fork(tb TB, owner string) *Project {
	tb.Helper()
	defer p.g.hold()()
	_, name, _ := strings.Cut(p.path, "/")
	fork, err := p.g.newProject(owner+"/"+name, ProjectOptions{Private: p.private, Branch: p.branch})
	if err != nil {
		tb.Fatalf("fork: %v", err)
	}
	fork.parent = p
	fork.members[p.g.user(owner).ID] = member{level: 50}
	refs, err := p.bare.Refs("refs/heads/")
	if err != nil {
		tb.Fatalf("fork: %v", err)
	}
	for ref, commit := range refs {
		if err := fork.bare.Take(p.bare, commit, ref); err != nil {
			tb.Fatalf("fork: %v", err)
		}
	}
	return fork
}

// event tells the system hooks what became of a project.
func (p *Project) event(name string, more object) {
	visibility := map[bool]string{true: "private", false: "public"}[p.private]
	body := object{
		"event_name": name, "created_at": stamp(p.made), "updated_at": stamp(p.g.Clock.Now()), "name": filepath.Base(p.path),
		"path": filepath.Base(p.path), "path_with_namespace": p.path, "project_id": p.id, "project_namespace_id": p.id + 1,
		"owner_name": "octocat", "owner_email": "octocat@example.com", "owners": []object{}, "project_visibility": visibility,
	}
	maps.Copy(body, more)
	p.g.sendSystem(name, p, body)
}

// Rename gives it another name in its namespace.
func (p *Project) Rename(name string) {
	defer p.g.hold()()
	old := p.path
	p.path = filepath.Dir(old) + "/" + name
	p.event("project_rename", object{"old_path_with_namespace": old})
}

// Transfer moves it to another namespace.
func (p *Project) Transfer(namespace string) {
	defer p.g.hold()()
	old := p.path
	p.path = namespace + "/" + filepath.Base(old)
	p.event("project_transfer", object{"old_path_with_namespace": old})
}

// Archive makes it read-only.
func (p *Project) Archive() {
	defer p.g.hold()()
	p.archived = true
	p.event("project_update", nil)
}

// Delete removes it for good. Merge requests from it to others stay.
func (p *Project) Delete() {
	defer p.g.hold()()
	p.event("project_destroy", nil)
	p.deleted = true
}

func (g *GitLab) projectJSON(p *Project) object {
	visibility := map[bool]string{true: "private", false: "public"}[p.private]
	o := object{
		"id": p.id, "name": filepath.Base(p.path), "path": filepath.Base(p.path), "path_with_namespace": p.path,
		"default_branch": nil, "visibility": visibility, "archived": p.archived, "http_url_to_repo": g.URL() + "/" + p.path + ".git",
		"ssh_url_to_repo": "git@example.com:" + p.path + ".git", "web_url": g.URL() + "/" + p.path, "created_at": stamp(p.made),
	}
	if refs, err := p.bare.Refs("refs/heads/"); err == nil && len(refs) > 0 {
		o["default_branch"] = p.branch
	}
	return o
}

// listProjects answers GET /projects.
func (g *GitLab) listProjects(q *labRequest) (any, error) {
	values := q.URL.Query()
	least := q.query("min_access_level", 0, 50)
	all := []object{}
	for _, id := range slices.Sorted(maps.Keys(g.projects)) {
		p := g.projects[id]
		level := p.level(q.token.user)
		if !p.deleted && p.shows(q.token.user) && level >= least && (values.Get("membership") != "true" || level > 0) {
			all = append(all, g.projectJSON(p))
		}
	}
	if values.Get("sort") != "asc" {
		slices.Reverse(all)
	}
	return labPage(g, q, all), nil
}

// getProject answers GET /projects/{id}.
func (g *GitLab) getProject(q *labRequest) (any, error) { return g.projectJSON(q.project), nil }

// getMember answers GET /projects/{id}/members/all/{user_id}. A membership that is
// over is listed until GitLab tidies up, once a day.
func (g *GitLab) getMember(q *labRequest) (any, error) {
	m, ok := q.project.members[q.number("user_id")]
	if !ok {
		return nil, labRefuse(http.StatusNotFound, "404 Not found")
	}
	for _, u := range g.users {
		if u.ID != q.number("user_id") {
			continue
		}
		o := g.userJSON(u)
		maps.Copy(o, object{"access_level": m.level, "membership_state": "active", "expires_at": nil})
		if !m.expires.IsZero() {
			o["expires_at"] = m.expires.Format(time.DateOnly)
		}
		return o, nil
	}
	return nil, labRefuse(http.StatusNotFound, "404 Not found")
}
