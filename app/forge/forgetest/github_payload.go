package forgetest

import (
	"encoding/base64"
	"fmt"
	"time"
)

// stamp is a time as GitHub writes it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stampOrNull is a time that may not have come yet.
func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// orNull is null for what is not there.
func orNull[T comparable](v T) any {
	var none T
	if v == none {
		return nil
	}
	return v
}

// node is the other id that everything has.
func node(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", kind, id))
}

// userJSON is an account.
func (g *GitHub) userJSON(a *Account) object {
	api := g.URL() + "/api/v3/users/" + a.Login
	o := object{
		"login": a.Login, "id": a.ID, "node_id": node("U", a.ID), "type": a.Type, "site_admin": false, "gravatar_id": "",
		"avatar_url": fmt.Sprintf("%s/avatars/u/%d", g.URL(), a.ID), "html_url": g.URL() + "/" + a.Login, "url": api,
		"gists_url": api + "/gists{/gist_id}", "starred_url": api + "/starred{/owner}{/repo}",
		"following_url": api + "/following{/other_user}", "events_url": api + "/events{/privacy}",
		"organizations_url": api + "/orgs", "user_view_type": "public",
	}
	for _, part := range []string{"followers", "subscriptions", "repos", "received_events"} {
		o[part+"_url"] = api + "/" + part
	}
	return o
}

// organizationJSON is an account as webhooks show an organisation.
func (g *GitHub) organizationJSON(a *Account) object {
	api := g.URL() + "/api/v3/orgs/" + a.Login
	o := object{
		"login": a.Login, "id": a.ID, "node_id": node("O", a.ID), "url": api, "description": "",
		"avatar_url":  fmt.Sprintf("%s/avatars/u/%d", g.URL(), a.ID),
		"members_url": api + "/members{/member}", "public_members_url": api + "/public_members{/member}",
	}
	for _, part := range []string{"repos", "events", "hooks", "issues"} {
		o[part+"_url"] = api + "/" + part
	}
	return o
}

// repoParts are the addresses below that of a repository of the API.
var repoParts = map[string]string{
	"archive": "{archive_format}{/ref}", "assignees": "{/user}", "blobs": "git/blobs{/sha}", "branches": "{/branch}",
	"collaborators": "{/collaborator}", "comments": "{/number}", "commits": "{/sha}", "compare": "{base}...{head}",
	"contents": "{+path}", "contributors": "", "deployments": "", "downloads": "", "events": "", "forks": "",
	"git_commits": "{/sha}", "git_refs": "{/sha}", "git_tags": "{/sha}", "hooks": "", "issue_comment": "{/number}",
	"issue_events": "{/number}", "issues": "{/number}", "keys": "{/key_id}", "labels": "{/name}", "languages": "",
	"merges": "", "milestones": "{/number}", "notifications": "{?since,all,participating}", "pulls": "{/number}",
	"releases": "{/id}", "stargazers": "", "statuses": "{sha}", "subscribers": "", "subscription": "", "tags": "",
	"teams": "", "trees": "git/trees{/sha}",
}

// repoJSON is a repository.
func (g *GitHub) repoJSON(r *Repo) object {
	page := g.URL() + "/" + r.fullName()
	api := g.URL() + "/api/v3/repos/" + r.fullName()
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	o := object{
		"id": r.id, "node_id": node("R", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private,
		"owner": g.userJSON(r.owner), "html_url": page, "url": api, "description": nil, "fork": r.parent != nil,
		"created_at": stamp(r.made), "updated_at": stamp(r.made), "pushed_at": stamp(r.made),
		"git_url": page + ".git", "ssh_url": "git@github.example.com:" + r.fullName() + ".git", "clone_url": page + ".git", "svn_url": page,
		"homepage": nil, "size": 0, "stargazers_count": 0, "watchers_count": 0, "language": nil, "has_issues": true,
		"has_projects": true, "has_downloads": true, "has_wiki": true, "has_pages": false, "has_discussions": false,
		"forks_count": 0, "mirror_url": nil, "archived": r.archived, "disabled": false, "open_issues_count": 0, "license": nil,
		"allow_forking": true, "is_template": false, "web_commit_signoff_required": false, "topics": []string{},
		"visibility": visibility, "forks": 0, "open_issues": 0, "watchers": 0, "default_branch": r.branch,
	}
	for part, more := range repoParts {
		o[part+"_url"] = api + "/" + part + more
	}
	return o
}

// briefly lists repositories as events of installations do.
func (g *GitHub) briefly(repos []*Repo) []object {
	list := []object{}
	for _, r := range repos {
		list = append(list, object{
			"id": r.id, "node_id": node("R", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private,
		})
	}
	return list
}

// pullJSON is a pull request: in full, or as lists show it.
func (g *GitHub) pullJSON(p *Pull, full bool) object {
	api := fmt.Sprintf("%s/api/v3/repos/%s/pulls/%d", g.URL(), p.to.fullName(), p.number)
	issue := fmt.Sprintf("%s/api/v3/repos/%s/issues/%d", g.URL(), p.to.fullName(), p.number)
	page := fmt.Sprintf("%s/%s/pull/%d", g.URL(), p.to.fullName(), p.number)
	statuses := fmt.Sprintf("%s/api/v3/repos/%s/statuses/%s", g.URL(), p.to.fullName(), p.head)
	o := object{
		"id": p.id, "node_id": node("PR", p.id), "number": p.number, "state": p.state(), "locked": false, "title": p.title,
		"user": g.userJSON(p.author), "body": nil, "labels": labelsJSON(p.labels), "milestone": nil, "active_lock_reason": nil,
		"created_at": stamp(p.made), "updated_at": stamp(p.changed), "closed_at": stampOrNull(p.closed), "merged_at": nil,
		"merge_commit_sha": orNull(p.merged), "assignee": nil, "assignees": []object{}, "requested_reviewers": []object{},
		"requested_teams": []object{}, "author_association": "CONTRIBUTOR", "auto_merge": nil, "draft": p.draft,
		"url": api, "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch", "issue_url": issue,
		"comments_url": issue + "/comments", "commits_url": api + "/commits", "review_comments_url": api + "/comments",
		"review_comment_url": api + "/comments{/number}", "statuses_url": statuses,
		"head": g.sideJSON(p.from, p.branch, p.head), "base": g.sideJSON(p.to, p.base, p.to.tip(p.base)),
		"_links": object{
			"self": link(api), "html": link(page), "issue": link(issue), "comments": link(issue + "/comments"),
			"review_comments": link(api + "/comments"), "review_comment": link(api + "/comments{/number}"),
			"commits": link(api + "/commits"), "statuses": link(statuses),
		},
	}
	if p.merged != "" {
		o["merged_at"] = stamp(p.closed)
	}
	if full {
		for k, v := range (object{
			"merged": p.merged != "", "mergeable": nil, "rebaseable": nil, "mergeable_state": "unknown", "merged_by": nil,
			"comments": 0, "review_comments": 0, "maintainer_can_modify": false, "commits": 1, "additions": 1, "deletions": 0,
			"changed_files": 1,
		}) {
			o[k] = v
		}
	}
	return o
}

func link(address string) object { return object{"href": address} }

// sideJSON is the head or base of a pull request. The repository is null when it is
// gone.
func (g *GitHub) sideJSON(r *Repo, branch, sha string) object {
	if r.deleted {
		return object{"label": "unknown repository", "ref": branch, "sha": sha, "user": nil, "repo": nil}
	}
	return object{"label": r.owner.Login + ":" + branch, "ref": branch, "sha": sha, "user": g.userJSON(r.owner), "repo": g.repoJSON(r)}
}

// labelJSON is a label.
func labelJSON(name string) object {
	return object{
		"id": 1, "node_id": node("LA", 1), "url": "https://github.example.com/labels/" + name, "name": name,
		"color": "ededed", "default": false, "description": nil,
	}
}

func labelsJSON(names []string) []object {
	list := []object{}
	for _, name := range names {
		list = append(list, labelJSON(name))
	}
	return list
}

// inPulls are the open pull requests of the same repository that have a commit as
// their head, briefly. Those from forks are never shown there.
func (g *GitHub) inPulls(r *Repo, sha string) []object {
	list := []object{}
	for _, p := range r.pulls {
		if p.open && p.head == sha && p.from == r {
			side := func(branch, sha string) object {
				api := g.URL() + "/api/v3/repos/" + r.fullName()
				return object{"ref": branch, "sha": sha, "repo": object{"id": r.id, "url": api, "name": r.name}}
			}
			list = append(list, object{
				"id": p.id, "number": p.number, "url": fmt.Sprintf("%s/api/v3/repos/%s/pulls/%d", g.URL(), r.fullName(), p.number),
				"head": side(p.branch, p.head), "base": side(p.base, r.tip(p.base)),
			})
		}
	}
	return list
}

// runJSON is a check run.
func (g *GitHub) runJSON(c *run) object {
	now := c.now()
	api := fmt.Sprintf("%s/api/v3/repos/%s/check-runs/%d", g.URL(), c.repo.fullName(), now.ID)
	page := fmt.Sprintf("%s/%s/runs/%d", g.URL(), c.repo.fullName(), now.ID)
	return object{
		"id": now.ID, "node_id": node("CR", now.ID), "name": now.Name, "head_sha": now.SHA, "external_id": now.ExternalID,
		"url": api, "html_url": page, "details_url": now.DetailsURL, "status": now.Status, "conclusion": orNull(now.Conclusion),
		"started_at": stampOrNull(now.Started), "completed_at": stampOrNull(now.Completed),
		"output": object{
			"title": orNull(now.Title), "summary": orNull(now.Summary), "text": orNull(now.Text),
			"annotations_count": len(now.Annotations), "annotations_url": api + "/annotations",
		},
		"check_suite": object{"id": now.Suite}, "app": g.appJSON(g.appOf(c)), "pull_requests": g.inPulls(c.repo, now.SHA),
	}
}

// simpleCommit is a commit in brief.
func simpleCommit(c Log) object {
	who := object{"name": c.Author, "email": c.Email}
	return object{"id": c.Commit, "tree_id": c.Tree, "message": c.Message, "timestamp": stamp(c.At), "author": who, "committer": who}
}

// commitJSON is a commit as the API shows it.
func (g *GitHub) commitJSON(r *Repo, c Log) object {
	api := g.URL() + "/api/v3/repos/" + r.fullName()
	page := g.URL() + "/" + r.fullName() + "/commit/" + c.Commit
	who := object{"name": c.Author, "email": c.Email, "date": stamp(c.At)}
	parents := []object{}
	for _, p := range c.Parents {
		parents = append(parents, object{"sha": p, "url": api + "/commits/" + p, "html_url": g.URL() + "/" + r.fullName() + "/commit/" + p})
	}
	return object{
		"sha": c.Commit, "node_id": node("C", 0) + c.Commit, "url": api + "/commits/" + c.Commit, "html_url": page,
		"comments_url": api + "/commits/" + c.Commit + "/comments", "parents": parents,
		"author": g.userJSON(g.account(c.Author)), "committer": g.userJSON(g.account(c.Author)),
		"commit": object{
			"author": who, "committer": who, "message": c.Message, "comment_count": 0, "url": api + "/git/commits/" + c.Commit,
			"tree": object{"sha": c.Tree, "url": api + "/git/trees/" + c.Tree},
		},
	}
}
