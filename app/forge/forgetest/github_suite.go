package forgetest

import (
	"fmt"
	"time"
)

type suiteKey struct {
	repo int64
	sha  string
}

// A suite is the check suite of the App for a commit: there is one.
type suite struct {
	id             int64
	repo           *Repo
	sha            string
	branch, before string // "" if they are unknown
	made           time.Time
}

// suite finds or makes the suite of a commit.
func (g *GitHub) suite(r *Repo, sha string) *suite {
	key := suiteKey{r.id, sha}
	if g.suites[key] == nil {
		g.suites[key] = &suite{id: g.id(), repo: r, sha: sha, made: g.Clock.Now()}
	}
	return g.suites[key]
}

// commitSuites answers GET /repos/{owner}/{repo}/commits/{ref}/check-suites.
func (g *GitHub) commitSuites(q *request) (any, error) {
	list := []object{}
	if s := g.suites[suiteKey{q.repo.id, q.PathValue("ref")}]; s != nil {
		list = append(list, g.suiteJSON(s))
	}
	return object{"total_count": len(list), "check_suites": list}, nil
}

// pathSuite is the one of the path.
func (g *GitHub) pathSuite(q *request) (*suite, error) {
	for _, s := range g.suites {
		if s.id == q.number("check_suite_id") && s.repo == q.repo {
			return s, nil
		}
	}
	return nil, notFound
}

// getSuite answers GET /repos/{owner}/{repo}/check-suites/{check_suite_id}.
func (g *GitHub) getSuite(q *request) (any, error) {
	s, err := g.pathSuite(q)
	if err != nil {
		return nil, err
	}
	return g.suiteJSON(s), nil
}

// suiteRuns answers GET .../check-suites/{check_suite_id}/check-runs.
func (g *GitHub) suiteRuns(q *request) (any, error) {
	s, err := g.pathSuite(q)
	if err != nil {
		return nil, err
	}
	return g.listRuns(q, s.sha)
}

// rerequestSuite answers POST .../check-suites/{check_suite_id}/rerequest.
func (g *GitHub) rerequestSuite(q *request) (any, error) {
	s, err := g.pathSuite(q)
	if err != nil {
		return nil, err
	}
	g.sendSuite(q.token.in, s, "rerequested", g.account(g.app.Slug+"[bot]"))
	return created(object{}), nil
}

// suiteState is what the newest run of each name adds up to.
func (g *GitHub) suiteState(s *suite) (status string, conclusion any, n int) {
	rank := map[string]int{
		"success": 1, "neutral": 2, "skipped": 2, "stale": 3, "cancelled": 4, "action_required": 5, "timed_out": 6, "failure": 7,
	}
	seen, worst, open := map[string]bool{}, "", false
	for _, c := range g.runsOf(s.repo, s.sha) {
		now := c.now()
		if seen[now.Name] || c.others {
			continue
		}
		seen[now.Name] = true
		open = open || now.Status != "completed"
		if rank[now.Conclusion] > rank[worst] {
			worst = now.Conclusion
		}
	}
	switch {
	case len(seen) == 0:
		return "queued", nil, 0
	case open:
		return "in_progress", nil, len(seen)
	}
	return "completed", worst, len(seen)
}

// suiteJSON is a check suite.
func (g *GitHub) suiteJSON(s *suite) object {
	api := fmt.Sprintf("%s/api/v3/repos/%s/check-suites/%d", g.URL(), s.repo.fullName(), s.id)
	status, conclusion, n := g.suiteState(s)
	o := object{
		"id": s.id, "node_id": node("CS", s.id), "head_branch": orNull(s.branch), "head_sha": s.sha, "status": status,
		"conclusion": conclusion, "url": api, "before": orNull(s.before), "after": s.sha, "pull_requests": g.inPulls(s.repo, s.sha),
		"app": g.appJSON(g.app), "repository": g.repoJSON(s.repo), "created_at": stamp(s.made), "updated_at": stamp(s.made),
		"latest_check_runs_count": n, "check_runs_url": api + "/check-runs", "head_commit": nil,
		"rerequestable": true, "runs_rerequestable": true,
	}
	if log, err := s.repo.bare.Log(1, s.sha); err == nil && len(log) == 1 {
		o["head_commit"] = simpleCommit(log[0])
	}
	return o
}
