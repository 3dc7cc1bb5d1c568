package forgetest

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Repo is a repository on a fake GitHub. Its methods do what people do there, and
// send the webhooks that come of it.
type Repo struct {
	g        *GitHub
	id       int64
	owner    *Account
	name     string
	former   []string // names that it had, as "owner/name" in lower case
	branch   string   // the default one, without refs/heads/
	private  bool
	archived bool
	deleted  bool
	parent   *Repo // that it is a fork of; nil if it is none
	bare     *Bare
	roles    map[int64]string // of people, by number: admin, maintain, write, triage, read
	pulls    []*Pull
	numbers  int // the last one of an issue or pull request
	comments []comment
	statuses map[string][]object // by commit, newest last
	made     time.Time
}

// RepoOptions say how a repository is made.
type RepoOptions struct {
	Private bool
	Branch  string // the default branch; "" is main
}

// CreateRepo makes an empty repository "owner/name".
func (g *GitHub) CreateRepo(tb TB, full string, o RepoOptions) *Repo {
	tb.Helper()
	defer g.hold()()
	owner, name, ok := strings.Cut(full, "/")
	if !ok {
		tb.Fatalf("create repository %q: want owner/name", full)
	}
	if o.Branch == "" {
		o.Branch = "main"
	}
	r, err := g.newRepo(g.account(owner), name, o)
	if err != nil {
		tb.Fatalf("create repository %s: %v", full, err)
	}
	return r
}

func (g *GitHub) newRepo(owner *Account, name string, o RepoOptions) (*Repo, error) {
	if r, moved := g.repo(owner.Login, name); r != nil && !moved {
		return nil, fmt.Errorf("%s is there already", r.fullName())
	}
	id := g.id()
	bare, err := NewBare(filepath.Join(g.dir, fmt.Sprintf("%d.git", id)), o.Branch)
	if err != nil {
		return nil, err
	}
	r := &Repo{
		g: g, id: id, owner: owner, name: name, branch: o.Branch, private: o.Private, bare: bare,
		roles: map[int64]string{owner.ID: "admin"}, statuses: map[string][]object{}, made: g.Clock.Now(),
	}
	g.repos[id] = r
	return r, nil
}

func (r *Repo) fullName() string { return r.owner.Login + "/" + r.name }

// ID is the repository's number, which stays.
func (r *Repo) ID() int64 { return r.id }

// Name is the repository's name as of now, "owner/name".
func (r *Repo) Name() string {
	defer r.g.hold()()
	return r.fullName()
}

// CloneURL is where git fetches from, as of now.
func (r *Repo) CloneURL() string { return r.g.URL() + "/" + r.Name() + ".git" }

// Bare is the repository itself. What is done to it directly nobody is told.
func (r *Repo) Bare() *Bare { return r.bare }

// Role gives a person a role: admin, maintain, write, triage, read, or "" for none.
func (r *Repo) Role(login, role string) {
	defer r.g.hold()()
	r.roles[r.g.account(login).ID] = role
}

// Fork makes a fork that belongs to somebody else.
func (r *Repo) Fork(tb TB, owner string) *Repo {
	tb.Helper()
	defer r.g.hold()()
	fork, err := r.g.newRepo(r.g.account(owner), r.name, RepoOptions{Private: r.private, Branch: r.branch})
	if err != nil {
		tb.Fatalf("fork: %v", err)
	}
	fork.parent = r
	refs, err := r.bare.Refs("refs/heads/")
	if err != nil {
		tb.Fatalf("fork: %v", err)
	}
	for ref, commit := range refs {
		if err := fork.bare.Take(r.bare, commit, ref); err != nil {
			tb.Fatalf("fork: %v", err)
		}
	}
	return fork
}

// tell sends the webhook of a change of the repository.
func (r *Repo) tell(action string, changes object) {
	body := object{}
	if changes != nil {
		body["changes"] = changes
	}
	r.g.send(r.g.installation(r), r, "repository", action, r.owner, body)
}

// Rename gives it another name; the old one leads here until somebody takes it.
func (r *Repo) Rename(name string) {
	defer r.g.hold()()
	old := r.name
	r.former = append(r.former, strings.ToLower(r.fullName()))
	r.name = name
	r.tell("renamed", object{"repository": object{"name": object{"from": old}}})
}

// Transfer gives it to somebody else. The App's installations there and here, if
// any, are told.
func (r *Repo) Transfer(owner string) {
	defer r.g.hold()()
	old, left := r.owner, r.g.installation(r)
	r.former = append(r.former, strings.ToLower(r.fullName()))
	r.owner = r.g.account(owner)
	r.roles[r.owner.ID] = "admin"
	if left != nil {
		delete(left.repos, r.id)
		r.g.selection(left, "removed", r)
	}
	r.tell("transferred", object{"owner": object{"from": object{"user": r.g.userJSON(old)}}})
}

// Privatize hides it from strangers, Publicize shows it to them.
func (r *Repo) Privatize() {
	defer r.g.hold()()
	r.private = true
	r.tell("privatized", nil)
}

// Publicize shows it to everybody.
func (r *Repo) Publicize() {
	defer r.g.hold()()
	r.private = false
	r.tell("publicized", nil)
}

// Archive makes it read-only.
func (r *Repo) Archive() {
	defer r.g.hold()()
	r.archived = true
	r.tell("archived", nil)
}

// SetDefaultBranch makes another branch the default one.
func (r *Repo) SetDefaultBranch(tb TB, branch string) {
	tb.Helper()
	defer r.g.hold()()
	if _, err := r.bare.git(nil, nil, "symbolic-ref", "HEAD", "refs/heads/"+branch); err != nil {
		tb.Fatalf("set default branch: %v", err)
	}
	old := r.branch
	r.branch = branch
	r.tell("edited", object{"default_branch": object{"from": old}})
}

// Delete removes it for good. Pull requests from it to others stay.
func (r *Repo) Delete() {
	defer r.g.hold()()
	r.tell("deleted", nil)
	r.deleted = true
}

// getRepository answers GET /repos/{owner}/{repo}.
func (g *GitHub) getRepository(q *request) (any, error) {
	o := g.repoJSON(q.repo)
	o["network_count"], o["subscribers_count"] = 0, 0
	return o, nil
}

// listRepositories answers GET /installation/repositories.
func (g *GitHub) listRepositories(q *request) (any, error) {
	if q.token.in == nil {
		return nil, &refusal{status: http.StatusForbidden, message: "You must authenticate with an installation access token in order to list repositories for an installation."}
	}
	repos := slices.DeleteFunc(g.covered(q.token.in), func(r *Repo) bool { return !q.token.reaches(r) })
	list := []object{}
	for _, r := range pageOf(g, q, repos) {
		list = append(list, g.repoJSON(r))
	}
	return object{"total_count": len(repos), "repository_selection": q.token.in.selected(), "repositories": list}, nil
}

// findInstallation answers GET /repos/{owner}/{repo}/installation.
func (g *GitHub) findInstallation(q *request) (any, error) {
	r, moved := g.repo(q.PathValue("owner"), q.PathValue("repo"))
	if r == nil || g.installation(r) == nil {
		return nil, notFound
	}
	if moved {
		return nil, g.redirect(q, r)
	}
	return g.installationJSON(g.installation(r)), nil
}

// getApp answers GET /app.
func (g *GitHub) getApp(*request) (any, error) {
	o := g.appJSON(g.app)
	n := 0
	for _, in := range g.installations {
		if !in.gone {
			n++
		}
	}
	o["installations_count"] = n
	return o, nil
}

// listInstallations answers GET /app/installations.
func (g *GitHub) listInstallations(q *request) (any, error) {
	all := []object{}
	for _, id := range slices.Sorted(maps.Keys(g.installations)) {
		if in := g.installations[id]; !in.gone {
			all = append(all, g.installationJSON(in))
		}
	}
	return pageOf(g, q, all), nil
}

// getInstallation answers GET /app/installations/{installation_id}.
func (g *GitHub) getInstallation(q *request) (any, error) {
	in := g.installations[q.number("installation_id")]
	if in == nil || in.gone {
		return nil, notFound
	}
	return g.installationJSON(in), nil
}

// permission answers GET /repos/{owner}/{repo}/collaborators/{username}/permission.
func (g *GitHub) permission(q *request) (any, error) {
	a := g.accounts[strings.ToLower(q.PathValue("username"))]
	if a == nil {
		return nil, &refusal{status: http.StatusNotFound, message: q.PathValue("username") + " is not a user"}
	}
	role := q.repo.roles[a.ID]
	if role == "" {
		role = "none"
		if !q.repo.private {
			role = "read"
		}
	}
	// The old word of each role: maintain is write, triage is read.
	old := map[string]string{"maintain": "write", "triage": "read"}[role]
	if old == "" {
		old = role
	}
	user := g.userJSON(a)
	user["permissions"] = object{"pull": role != "none", "push": old == "write" || role == "admin", "admin": role == "admin"}
	user["role_name"] = role
	return object{"permission": old, "role_name": role, "user": user}, nil
}
