package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxStatus is how many characters a status may say.
	maxStatus = 140
	// statusesKept is how many statuses a commit takes of one context, for ever.
	statusesKept = 1000
)

// createStatus answers POST /repos/{owner}/{repo}/statuses/{sha}.
func (g *GitHub) createStatus(q *request) (any, error) {
	var ask struct {
		State       string  `json:"state"`
		TargetURL   *string `json:"target_url"`
		Description *string `json:"description"`
		Context     *string `json:"context"`
	}
	if err := q.decode(&ask); err != nil {
		return nil, err
	}
	sha := q.PathValue("sha")
	if commit, err := q.repo.bare.Peel(sha); err != nil || commit == "" || commit != sha {
		return nil, noCommit(sha)
	}
	name := "default"
	if ask.Context != nil {
		name = *ask.Context
	}
	switch {
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, ask.State):
		return nil, wrong("state %q is none", ask.State)
	case ask.Description != nil && utf8.RuneCountInString(*ask.Description) > maxStatus:
		return nil, wrong("description is too long (maximum is %d characters)", maxStatus)
	case ask.TargetURL != nil && *ask.TargetURL != "" && !strings.HasPrefix(*ask.TargetURL, "http"):
		return nil, wrong("target_url must use http(s) scheme")
	}
	same := 0
	for _, s := range q.repo.statuses[sha] {
		if strings.EqualFold(s["context"].(string), name) {
			same++
		}
	}
	if same >= statusesKept {
		return nil, &refusal{
			status:  http.StatusUnprocessableEntity,
			message: "Validation Failed: This SHA and context has reached the maximum number of statuses.",
		}
	}
	now := stamp(g.Clock.Now())
	bot := g.account(g.app.Slug + "[bot]")
	id := g.id()
	s := object{
		"url": fmt.Sprintf("%s/api/v3/repos/%s/statuses/%s", g.URL(), q.repo.fullName(), sha), "avatar_url": g.userJSON(bot)["avatar_url"],
		"id": id, "node_id": node("SC", id), "state": ask.State, "description": ask.Description, "target_url": ask.TargetURL,
		"context": name, "created_at": now, "updated_at": now, "creator": g.userJSON(bot),
	}
	q.repo.statuses[sha] = append(q.repo.statuses[sha], s)
	return created(s), nil
}

// A CommitStatus is what was posted of a commit.
type CommitStatus struct{ State, Context, Description, TargetURL string }

// Statuses are all statuses that were posted of a commit, oldest first.
func (r *Repo) Statuses(sha string) []CommitStatus {
	defer r.g.hold()()
	return r.statusList(sha)
}

func (r *Repo) statusList(sha string) []CommitStatus {
	var all []CommitStatus
	for _, s := range r.statuses[sha] {
		one := CommitStatus{State: s["state"].(string), Context: s["context"].(string)}
		if d, _ := s["description"].(*string); d != nil {
			one.Description = *d
		}
		if u, _ := s["target_url"].(*string); u != nil {
			one.TargetURL = *u
		}
		all = append(all, one)
	}
	return all
}

// statusesOf are those of the commit in the path, newest first.
func (q *request) statusesOf() (string, []object, error) {
	sha, err := q.repo.bare.Peel(q.PathValue("ref"))
	if err != nil || sha == "" {
		return "", nil, notFound
	}
	all := slices.Clone(q.repo.statuses[sha])
	slices.Reverse(all)
	if all == nil {
		all = []object{}
	}
	return sha, all, nil
}

// listStatuses answers GET /repos/{owner}/{repo}/commits/{ref}/statuses.
func (g *GitHub) listStatuses(q *request) (any, error) {
	_, all, err := q.statusesOf()
	if err != nil {
		return nil, err
	}
	return pageOf(g, q, all), nil
}

// combinedStatus answers GET /repos/{owner}/{repo}/commits/{ref}/status.
func (g *GitHub) combinedStatus(q *request) (any, error) {
	sha, all, err := q.statusesOf()
	if err != nil {
		return nil, err
	}
	state, latest, seen := "success", []object{}, map[string]bool{}
	for _, s := range all {
		name := strings.ToLower(s["context"].(string))
		if seen[name] {
			continue
		}
		seen[name] = true
		latest = append(latest, s)
		switch {
		case s["state"] == "failure" || s["state"] == "error":
			state = "failure"
		case s["state"] == "pending" && state == "success":
			state = "pending"
		}
	}
	if len(latest) == 0 {
		state = "pending"
	}
	api := fmt.Sprintf("%s/api/v3/repos/%s/commits/%s", g.URL(), q.repo.fullName(), sha)
	return object{
		"state": state, "sha": sha, "total_count": len(latest), "statuses": pageOf(g, q, latest),
		"repository": g.repoJSON(q.repo), "commit_url": api, "url": api + "/status",
	}, nil
}
