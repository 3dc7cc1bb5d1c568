package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
)

// found is a commit status as GitLab sends it.
type found struct {
	State       string `json:"status"`
	Name        string `json:"name"`
	Ref         string `json:"ref"`
	Target      string `json:"target_url"`
	Description string `json:"description"`
	Pipeline    int64  `json:"pipeline_id"`
	Author      user   `json:"author"`
}

// A move is a commit status as GitLab takes it.
type move struct {
	State       string `json:"state"`
	Ref         string `json:"ref"`
	Name        string `json:"name"`
	Target      string `json:"target_url,omitempty"`
	Description string `json:"description,omitempty"`
	Pipeline    int64  `json:"pipeline_id,omitempty"`
}

// status brings the status at one place to what is wanted.
func (p *posting) status(ctx context.Context, at place) error {
	where := spot{at.project, string(p.check.Commit), at.ref, p.want.name}
	have, sure := p.gitlab.known.take(where, p.check.External)
	if !sure {
		var err error
		if have, err = p.find(ctx, at); err != nil {
			return err
		}
	}
	p.pipeline = cmp.Or(have.pipeline, p.pipeline)
	for _, state := range moves(have, p.want.state) {
		var err error
		if have, err = p.move(ctx, at, state); err != nil {
			return err
		}
	}
	p.gitlab.known.keep(where, posted{have, p.check.External})
	return nil
}

// find looks for the newest status of ours: the answer to the request that made it
// may have been lost, or the record of that.
func (p *posting) find(ctx context.Context, at place) (shown, error) {
	me, err := p.gitlab.me(ctx)
	if err != nil {
		return shown{}, err
	}
	var newest shown
	query := url.Values{"ref": {at.ref}, "name": {p.want.name}, "all": {"true"}, "order_by": {"id"}, "sort": {"desc"}}
	err = list(ctx, p.gitlab, within(at.project, "repository/commits/%s/statuses", p.check.Commit), query, func(some []found) bool {
		for _, f := range some {
			if f.Name == p.want.name && f.Ref == at.ref && (me == 0 || f.Author.ID == me) {
				newest = shown{state: f.State, pipeline: f.Pipeline, ours: p.ours(f)}
				return false
			}
		}
		return true
	})
	return newest, err
}

// ours reports whether a status was posted for the check's build.
func (p *posting) ours(f found) bool {
	if p.want.target != "" {
		return f.Target == p.want.target
	}
	return strings.HasSuffix(f.Description, " ("+line(p.check.External, maxField/2)+")")
}

// move posts one state. A state that GitLab refuses to move to may be the one that it
// has, or an earlier one: it is asked.
func (p *posting) move(ctx context.Context, at place, state string) (shown, error) {
	m := move{State: state, Ref: at.ref, Name: p.want.name, Pipeline: p.pipeline}
	if state == p.want.state || final(p.want.state) {
		m.Target, m.Description = p.want.target, p.want.description
	}
	err := p.send(ctx, at, m)
	var f *failure
	switch {
	case err == nil:
		return shown{state: state, pipeline: p.pipeline, ours: true}, nil
	case !errors.As(err, &f) || !f.transition():
		return shown{}, err
	}
	have, lost := p.find(ctx, at)
	if lost != nil {
		return shown{}, lost
	}
	if have.state == "" || ranks[have.state] < ranks[state] {
		return shown{}, err
	}
	have.ours = have.ours || !final(have.state)
	return have, nil
}

// send posts a status into the pipeline where the others are. If that is gone, GitLab
// chooses another.
func (p *posting) send(ctx context.Context, at place, m move) error {
	var got found
	path := within(at.project, "statuses/%s", p.check.Commit)
	err := p.gitlab.ask(ctx, http.MethodPost, path, m, &got)
	if errors.Is(err, forge.ErrGone) && m.Pipeline != 0 {
		m.Pipeline, p.pipeline = 0, 0
		err = p.gitlab.ask(ctx, http.MethodPost, path, m, &got)
	}
	if err != nil {
		return fmt.Errorf("set status %s of %s: %w", m.State, strconv.Quote(m.Name), err)
	}
	p.pipeline = cmp.Or(got.Pipeline, p.pipeline) // GitLab before 16 does not say
	return nil
}
