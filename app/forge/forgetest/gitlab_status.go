package forgetest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// maxLabField is how many characters a field of a status has at most.
const maxLabField = 255

// A pipeline is what statuses of a commit are in.
type pipeline struct {
	id      int64
	project *Project
	sha     string
	ref     string
	full    bool // it takes no more statuses
}

// A labStatus is a commit status: a job that somebody else runs.
type labStatus struct {
	id       int64
	pipeline *pipeline
	name     string
	ref      string
	target   string
	text     string
	by       *labUser
	states   []string // that it had, oldest first; without the one it is born with
	retried  bool     // there is a newer one
	at       time.Time
}

// now is the state in which a status is.
func (s *labStatus) now() string {
	if len(s.states) == 0 {
		return "created"
	}
	return s.states[len(s.states)-1]
}

// A LabStatus is a commit status as it is now.
type LabStatus struct {
	ID, Project, Pipeline int64
	Name, Ref             string
	State                 string
	Target, Description   string
	By                    string
	History               []string // states that it had, oldest first
}

// AddPipeline makes a pipeline for a commit, as GitLab's own CI does, and returns its
// number. A full one takes no statuses.
func (p *Project) AddPipeline(sha, ref string, full bool) int64 {
	defer p.g.hold()()
	return p.g.newPipeline(p, sha, ref, full).id
}

// DeletePipelines removes all pipelines of a project, with their statuses.
func (p *Project) DeletePipelines() {
	defer p.g.hold()()
	p.g.pipelines = slices.DeleteFunc(p.g.pipelines, func(l *pipeline) bool { return l.project == p })
	p.g.statuses = slices.DeleteFunc(p.g.statuses, func(s *labStatus) bool { return s.pipeline.project == p })
}

func (g *GitLab) newPipeline(p *Project, sha, ref string, full bool) *pipeline {
	l := &pipeline{id: g.id(), project: p, sha: sha, ref: ref, full: full}
	g.pipelines = append(g.pipelines, l)
	return l
}

// Statuses are all statuses of a commit in a project, in the order in which they
// were made. Of one name the last counts.
func (p *Project) Statuses(sha string) []LabStatus {
	defer p.g.hold()()
	return p.statuses(sha)
}

func (p *Project) statuses(sha string) []LabStatus {
	var all []LabStatus
	for _, s := range p.g.statuses {
		if s.pipeline.project == p && s.pipeline.sha == sha {
			all = append(all, LabStatus{
				ID: s.id, Project: p.id, Pipeline: s.pipeline.id, Name: s.name, Ref: s.ref, State: s.now(), Target: s.target,
				Description: s.text, By: s.by.Login, History: slices.Clone(s.states),
			})
		}
	}
	return all
}

// WaitStatus waits until the newest status of a name, on a commit, is as wanted.
// Beside an error it returns what the status is; the zero value is none.
func (p *Project) WaitStatus(ctx context.Context, sha, name string, want func(LabStatus) bool) (LabStatus, error) {
	var newest LabStatus
	err := p.g.wait(ctx, fmt.Sprintf("status %q of %s", name, sha), func() bool {
		for _, s := range p.statuses(sha) {
			if s.Name == name {
				newest = s
			}
		}
		return newest.ID != 0 && want(newest)
	})
	return newest, err
}

// Transitions are those that were refused, in words.
func (g *GitLab) Transitions() []string {
	defer g.hold()()
	return slices.Clone(g.refused)
}

// locks decides whether a commit is found locked.
func (g *GitLab) locks(q *labRequest) bool {
	if g.locked == 0 || g.faults == nil {
		return false
	}
	g.faults.mu.Lock()
	defer g.faults.mu.Unlock()
	return g.faults.draw("lock of "+q.PathValue("sha")).Float64() < g.locked
}

// createStatus answers POST /projects/{id}/statuses/{sha}.
func (g *GitLab) createStatus(q *labRequest) (any, error) {
	var ask struct {
		State, Ref, Name, Context, Description string
		Target                                 string `json:"target_url"`
		Pipeline                               int64  `json:"pipeline_id"`
	}
	if err := q.decode(&ask); err != nil {
		return nil, err
	}
	name := orDefault(ask.Name, orDefault(ask.Context, "default"))
	for _, text := range []string{name, ask.Ref, ask.Description, ask.Target} {
		if utf8.RuneCountInString(text) > maxLabField {
			return nil, &refusal{status: http.StatusBadRequest, message: "is too long (maximum is 255 characters)", mistake: true}
		}
	}
	p, sha := q.project, q.PathValue("sha")
	if commit, err := p.bare.Peel(sha); err != nil || commit != sha {
		return nil, labRefuse(http.StatusNotFound, "404 Commit Not Found")
	}
	if g.locks(q) {
		return nil, labRefuse(http.StatusConflict, "409 Conflict: another status of this commit is being set")
	}
	l, err := g.pipelineFor(q, sha, ask.Ref, ask.Pipeline)
	if err != nil {
		return nil, err
	}
	s := g.current(l, name, ask.Ref, q.token.user)
	s.target, s.text = orDefault(ask.Target, s.target), orDefault(ask.Description, s.text)
	if err := g.move(s, ask.State); err != nil {
		return nil, err
	}
	return created(g.statusJSON(s)), nil
}

func orDefault(s, usual string) string {
	if s == "" {
		return usual
	}
	return s
}

func (g *GitLab) statusJSON(s *labStatus) object {
	return object{
		"id": s.id, "sha": s.pipeline.sha, "ref": s.ref, "status": s.now(), "name": s.name, "target_url": orNull(s.target),
		"description": orNull(s.text), "created_at": stamp(s.at), "started_at": nil, "finished_at": nil, "allow_failure": false,
		"coverage": nil, "pipeline_id": s.pipeline.id, "author": g.userJSON(s.by),
	}
}

// listStatuses answers GET /projects/{id}/repository/commits/{sha}/statuses.
func (g *GitLab) listStatuses(q *labRequest) (any, error) {
	values, sha := q.URL.Query(), q.PathValue("sha")
	if commit, err := q.project.bare.Peel(sha); err != nil || commit != sha {
		return nil, labRefuse(http.StatusNotFound, "404 Commit Not Found")
	}
	fits := func(key, value string) bool { return values.Get(key) == "" || values.Get(key) == value }
	all := []object{}
	for _, s := range g.statuses {
		if s.pipeline.project == q.project && s.pipeline.sha == sha && fits("ref", s.ref) && fits("name", s.name) &&
			fits("pipeline_id", fmt.Sprint(s.pipeline.id)) && (values.Get("all") == "true" || !s.retried) {
			all = append(all, g.statusJSON(s))
		}
	}
	if values.Get("sort") == "desc" {
		slices.Reverse(all)
	}
	return labPage(g, q, all), nil
}
