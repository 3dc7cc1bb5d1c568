package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// step is one event of a status's life, and from which states it leads where.
type step struct {
	event, to string
	from      []string
}

var (
	unbegun = []string{"created", "waiting_for_resource", "preparing", "skipped", "manual", "scheduled"}
	going   = []string{"created", "waiting_for_resource", "preparing", "pending", "running", "canceling"}

	enqueue = step{"enqueue", "pending", unbegun}
	begin   = step{"run", "running", []string{"pending"}}
	steps   = map[string]step{
		"pending": enqueue, "running": begin, "success": {"success", "success", going}, "failed": {"drop", "failed", going},
		"canceled": {"cancel", "canceled", append([]string{"manual", "scheduled"}, going...)},
		"skipped":  {"skip", "skipped", []string{"created", "waiting_for_resource", "preparing", "pending"}},
	}
)

// move brings a status to a state. A new one that is to run is queued on the way.
func (g *GitLab) move(s *labStatus, to string) error {
	if g.lenient && s.now() == to {
		return nil
	}
	from := s.now()
	if to == "running" && slices.Contains(enqueue.from, from) {
		from = "pending"
	}
	if do := steps[to]; !slices.Contains(do.from, from) {
		text := fmt.Sprintf("Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via %q)", do.event, from, do.event)
		g.refused = append(g.refused, s.name+": "+text)
		return labRefuse(http.StatusBadRequest, "%s", text)
	}
	s.states = append(s.states, to)
	return nil
}

// pipelineFor is the newest pipeline of a commit that fits, or a new one.
func (g *GitLab) pipelineFor(q *labRequest, sha, ref string, number int64) (*pipeline, error) {
	p := q.project
	if ref == "" {
		return nil, &refusal{status: http.StatusBadRequest, message: "a status without a ref lands where nobody asked for", mistake: true}
	}
	if err := p.takes(q, ref); err != nil {
		return nil, err
	}
	for _, l := range slices.Backward(g.pipelines) {
		if l.project == p && l.sha == sha && l.ref == ref && (number == 0 || number == l.id) {
			if l.full {
				return nil, labRefuse(http.StatusUnprocessableEntity, "The number of jobs has exceeded the limit of ci_pipeline_size")
			}
			return l, nil
		}
	}
	if number != 0 {
		return nil, labRefuse(http.StatusNotFound, "404 Pipeline Not Found")
	}
	return g.newPipeline(p, sha, ref, false), nil
}

// takes decides whether a ref takes a status from who asks.
func (p *Project) takes(q *labRequest, ref string) error {
	request := strings.HasPrefix(ref, "refs/merge-requests/")
	names := []string{"refs/heads/" + ref, "refs/tags/" + ref}
	if request {
		names = []string{ref}
	}
	there := slices.ContainsFunc(names, func(name string) bool {
		object, err := p.bare.Resolve(name)
		return err == nil && object != ""
	})
	switch {
	case !there:
		return labRefuse(http.StatusNotFound, "404 References for commit Not Found")
	case request && p.mute, slices.Contains(p.protected, ref) && q.level < maintainer:
		return labRefuse(http.StatusForbidden, "403 Forbidden")
	}
	return nil
}

// current is the status of a name that a user has going, or a new one.
func (g *GitLab) current(l *pipeline, name, ref string, by *labUser) *labStatus {
	for _, s := range slices.Backward(g.statuses) {
		if s.pipeline == l && s.name == name && s.ref == ref && s.by == by && (s.now() == "pending" || s.now() == "running") {
			return s
		}
	}
	for _, s := range g.statuses {
		s.retried = s.retried || s.pipeline == l && s.name == name
	}
	s := &labStatus{id: g.id(), pipeline: l, name: name, ref: ref, by: by, at: g.Clock.Now()}
	g.statuses = append(g.statuses, s)
	return s
}
