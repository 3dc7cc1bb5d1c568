package gitlab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Post shows a check as a commit status. A merge request from a fork shows it where
// it is permitted: in the project that it is for, else in the fork, else in a note.
// A merge request whose build failed gets a note, which follows later builds. It is
// a forge.Poster's.
func (g *GitLab) Post(ctx context.Context, c forge.Check, told forge.Told) (forge.Told, error) {
	if told.Done && told.External == c.External {
		return told, nil
	}
	if _, err := plan.ParseCommit(string(c.Commit)); err != nil || c.Name == "" || c.Repository.ID <= 0 {
		return told, fmt.Errorf("%w: a check of %q in project %d, named %q", forge.ErrInvalid, c.Commit, c.Repository.ID, c.Name)
	}
	p := &posting{gitlab: g, check: c, want: describe(c), pipeline: told.ID}
	if err := p.do(ctx); err != nil {
		told.ID = p.pipeline
		return told, err
	}
	return forge.Told{
		External: c.External, ID: p.pipeline, State: c.State, Digest: p.digest(), Done: c.State == forge.Final, At: g.options.Now(),
	}, nil
}

// A posting brings what GitLab shows up to a check.
type posting struct {
	gitlab   *GitLab
	check    forge.Check
	want     status
	pipeline int64 // that the status is in; 0 if it is not known
	fork     bool  // it is of a merge request from another project
}

// A place is where a status may be shown: a project, and a ref as it calls them
// there.
type place struct {
	project int64
	ref     string
}

// do shows the status at the first place that lets it, and what belongs to it.
func (p *posting) do(ctx context.Context) error {
	places, err := p.places(ctx)
	if err != nil {
		return err
	}
	var refused []error
	for _, at := range places {
		if err = p.status(ctx, at); err == nil {
			return p.summary(ctx)
		}
		if !errors.Is(err, forge.ErrForbidden) && !errors.Is(err, forge.ErrGone) {
			return err
		}
		refused = append(refused, p.explain(at, err))
	}
	if !p.fork {
		return errors.Join(refused...)
	}
	return p.note(ctx, p.standIn(), true)
}

// places are where the status of the check belongs, the best first.
func (p *posting) places(ctx context.Context) ([]place, error) {
	c := p.check
	if branch := plan.Branch(c.Ref); branch != "" {
		return []place{{c.Repository.ID, branch}}, nil
	}
	if tag := plan.Tag(c.Ref); tag != "" {
		return []place{{c.Repository.ID, tag}}, nil
	}
	if c.Pull == 0 {
		return nil, fmt.Errorf("%w: a status of %q, which is no branch, no tag and no merge request", forge.ErrInvalid, c.Ref)
	}
	from, err := p.gitlab.source(ctx, request{c.Repository.ID, c.Pull})
	if err != nil {
		return nil, err
	}
	if from.project == c.Repository.ID {
		return []place{{from.project, from.branch}}, nil
	}
	p.fork = true
	all := []place{{c.Repository.ID, forge.GitLab.Ref(c.Pull)}}
	if from.project != 0 {
		all = append(all, place{from.project, from.branch})
	}
	return all, nil
}

// source is where a merge request comes from.
func (g *GitLab) source(ctx context.Context, r request) (source, error) {
	if s, ok := g.known.source(r); ok {
		return s, nil
	}
	m, err := g.merge(ctx, r.project, r.number)
	if err != nil {
		return source{}, err
	}
	s := source{project: m.Source, branch: m.SourceBranch}
	g.known.keepSource(r, s)
	return s, nil
}

// explain adds to a refusal what can be done about it.
func (p *posting) explain(at place, err error) error {
	if !errors.Is(err, forge.ErrForbidden) {
		return fmt.Errorf("status of %s in project %d: %w", at.ref, at.project, err)
	}
	return fmt.Errorf("status of %s in project %d: %w (on a protected branch or tag only who may push or merge there may "+
		"set a status: give the token the role Maintainer, or its user the right to merge there)", at.ref, at.project, err)
}

// digest stands for what is shown.
func (p *posting) digest() string {
	w := p.want
	sum := sha256.Sum256([]byte(strings.Join([]string{w.name, w.state, w.description, w.target}, "\x00")))
	return hex.EncodeToString(sum[:])
}
