package forgetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

const (
	// runsKept is how many runs of one name a suite keeps.
	runsKept = 1000
	// staleAfter is when GitHub gives up on a run that is not completed.
	staleAfter = 14 * 24 * time.Hour
)

// A CheckRun is what is shown of a check run at some time.
type CheckRun struct {
	ID, Suite              int64
	Repository             int64
	SHA, Name              string
	Status, Conclusion     string
	ExternalID, DetailsURL string
	Title, Summary, Text   string
	Started, Completed     time.Time // zero: not yet
	Annotations            []RunAnnotation
	Actions                []RunAction
	At                     time.Time // when it came to be so
}

// A RunAnnotation is a remark on a line.
type RunAnnotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn int    `json:"start_column"`
	EndColumn   int    `json:"end_column"`
	Level       string `json:"annotation_level"`
	Message     string `json:"message"`
	Title       string `json:"title"`
	RawDetails  string `json:"raw_details"`
}

// A RunAction is a button.
type RunAction struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// A run is a check run with all that it ever was; the last is what it is.
type run struct {
	repo    *Repo
	suite   *suite
	made    time.Time
	history []CheckRun
	others  bool // it is not our App's
}

func (c *run) now() CheckRun { return c.history[len(c.history)-1] }

// become adds what it is from now on.
func (g *GitHub) become(c *run, next CheckRun) {
	next.At = g.Clock.Now()
	next.Annotations = slices.Clone(next.Annotations)
	c.history = append(c.history, next)
}

// runsOf are the runs of a commit, newest first. Those that nobody finished in
// time are stale by then.
func (g *GitHub) runsOf(r *Repo, sha string) []*run {
	var runs []*run
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(g.runs))) {
		c := g.runs[id]
		if c.repo != r || c.suite.sha != sha {
			continue
		}
		if now := c.now(); now.Status != "completed" && g.Clock.Now().Sub(c.made) > staleAfter {
			now.Status, now.Conclusion, now.Completed = "completed", "stale", g.Clock.Now()
			g.become(c, now)
		}
		runs = append(runs, c)
	}
	return runs
}

// createRun answers POST /repos/{owner}/{repo}/check-runs.
func (g *GitHub) createRun(q *request) (any, error) {
	var ask runRequest
	if err := q.decode(&ask); err != nil {
		return nil, err
	}
	if err := ask.check(true); err != nil {
		return nil, err
	}
	if commit, err := q.repo.bare.Peel(*ask.HeadSHA); err != nil || commit != *ask.HeadSHA {
		return nil, &refusal{status: http.StatusNotFound, message: "No commit found for SHA: " + *ask.HeadSHA}
	}
	now := g.Clock.Now()
	c := &run{repo: q.repo, suite: g.suite(q.repo, *ask.HeadSHA), made: now}
	first := CheckRun{
		ID: g.id(), Suite: c.suite.id, Repository: q.repo.id, SHA: *ask.HeadSHA, Status: "queued",
		DetailsURL: "https://velocity.example.com",
	}
	ask.apply(&first, now)
	g.become(c, first)
	g.runs[first.ID] = c
	g.trim(c)
	return created(g.runJSON(c)), nil
}

// OtherCheck adds a completed check run of another App, and returns its number.
func (r *Repo) OtherCheck(sha, name, externalID string) int64 {
	defer r.g.hold()()
	now := r.g.Clock.Now()
	c := &run{repo: r, suite: &suite{id: r.g.id(), repo: r, sha: sha, made: now}, made: now, others: true}
	one := CheckRun{
		ID: r.g.id(), Suite: c.suite.id, Repository: r.id, SHA: sha, Name: name, ExternalID: externalID,
		Status: "completed", Conclusion: "success", Started: now, Completed: now,
	}
	r.g.become(c, one)
	r.g.runs[one.ID] = c
	return one.ID
}

// appOf is the App that made a run.
func (g *GitHub) appOf(c *run) *App {
	if !c.others {
		return g.app
	}
	other := *g.app
	other.ID, other.Slug = g.app.ID-1, "another-app"
	return &other
}

// trim deletes the oldest runs of a name that has too many.
func (g *GitHub) trim(c *run) {
	var same []int64
	for id, other := range g.runs {
		if other.suite == c.suite && other.now().Name == c.now().Name {
			same = append(same, id)
		}
	}
	slices.Sort(same)
	for len(same) > runsKept {
		delete(g.runs, same[0])
		same = same[1:]
	}
}

// run is the one of the path.
func (g *GitHub) run(q *request) (*run, error) {
	c := g.runs[q.number("check_run_id")]
	if c == nil || c.repo != q.repo {
		return nil, notFound
	}
	return c, nil
}

// updateRun answers PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}.
func (g *GitHub) updateRun(q *request) (any, error) {
	c, err := g.run(q)
	if err != nil {
		return nil, err
	}
	if c.others {
		return nil, &refusal{status: http.StatusForbidden, mistake: true, message: "check run can only be modified by the GitHub App that created it"}
	}
	var ask runRequest
	if err := q.decode(&ask); err != nil {
		return nil, err
	}
	if err := ask.check(false); err != nil {
		return nil, err
	}
	next := c.now()
	if next.Status == "completed" {
		if err := ask.checkFrozen(next); err != nil {
			return nil, err
		}
	}
	ask.apply(&next, g.Clock.Now())
	g.become(c, next)
	return g.runJSON(c), nil
}

// getRun answers GET /repos/{owner}/{repo}/check-runs/{check_run_id}.
func (g *GitHub) getRun(q *request) (any, error) {
	c, err := g.run(q)
	if err != nil {
		return nil, err
	}
	return g.runJSON(c), nil
}

// listAnnotations answers GET .../check-runs/{check_run_id}/annotations.
func (g *GitHub) listAnnotations(q *request) (any, error) {
	c, err := g.run(q)
	if err != nil {
		return nil, err
	}
	list := []object{}
	for _, a := range c.now().Annotations {
		o := object{
			"path": a.Path, "blob_href": fmt.Sprintf("%s/%s/blob/%s/%s", g.URL(), c.repo.fullName(), c.suite.sha, a.Path),
			"start_line": a.StartLine, "end_line": a.EndLine, "start_column": orNull(a.StartColumn), "end_column": orNull(a.EndColumn),
			"annotation_level": a.Level, "title": orNull(a.Title), "message": a.Message, "raw_details": orNull(a.RawDetails),
		}
		list = append(list, o)
	}
	return pageOf(g, q, list), nil
}

// listRuns answers with the runs of a commit that the query selects.
func (g *GitHub) listRuns(q *request, sha string) (any, error) {
	values := q.URL.Query()
	list, seen := []object{}, map[string]bool{}
	for _, c := range g.runsOf(q.repo, sha) {
		now := c.now()
		name := fmt.Sprint(c.others, now.Name)
		if seen[name] && values.Get("filter") != "all" { // the newest of a name stands for it
			continue
		}
		seen[name] = true
		if (values.Get("check_name") == "" || values.Get("check_name") == now.Name) &&
			(values.Get("status") == "" || values.Get("status") == now.Status) &&
			(values.Get("app_id") == "" || values.Get("app_id") == fmt.Sprint(g.appOf(c).ID)) {
			list = append(list, g.runJSON(c))
		}
	}
	return object{"total_count": len(list), "check_runs": pageOf(g, q, list)}, nil
}

// commitRuns answers GET /repos/{owner}/{repo}/commits/{ref}/check-runs.
func (g *GitHub) commitRuns(q *request) (any, error) {
	sha, err := q.repo.bare.Peel(q.PathValue("ref"))
	if err != nil || sha == "" {
		return nil, noCommit(q.PathValue("ref"))
	}
	return g.listRuns(q, sha)
}

func noCommit(sha string) error {
	return &refusal{status: http.StatusUnprocessableEntity, message: "No commit found for SHA: " + sha}
}

// rerequestRun answers POST .../check-runs/{check_run_id}/rerequest: it changes
// nothing about the run, and sends its App an event.
func (g *GitHub) rerequestRun(q *request) (any, error) {
	c, err := g.run(q)
	if err != nil {
		return nil, err
	}
	g.sendRun(q.token.in, c, "rerequested", g.account(g.app.Slug+"[bot]"), nil)
	return created(object{}), nil
}
