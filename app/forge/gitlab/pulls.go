package gitlab

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// merge is a merge request as GitLab sends it. The source project is null when the
// fork is gone, and the commit is while it is being prepared.
type merge struct {
	Number       int64     `json:"iid"`
	State        string    `json:"state"`
	Head         string    `json:"sha"`
	SourceBranch string    `json:"source_branch"`
	TargetBranch string    `json:"target_branch"`
	Source       int64     `json:"source_project_id"`
	Target       int64     `json:"target_project_id"`
	Author       user      `json:"author"`
	Labels       []string  `json:"labels"`
	Draft        bool      `json:"draft"`
	Progress     bool      `json:"work_in_progress"` // what draft was called
	Modified     time.Time `json:"updated_at"`
}

type user struct {
	ID    int64  `json:"id"`
	Login string `json:"username"`
}

// bot matches what GitLab calls the users that it makes for tokens of projects and
// groups.
var bot = regexp.MustCompile(`^(project|group)_\d+_bot(_[0-9a-f]+|\d*)$`)

func (u user) known() forge.User {
	return forge.User{ID: u.ID, Login: u.Login, Bot: bot.MatchString(u.Login)}
}

// known reads a merge request.
func (m merge) known(of forge.Repository) (forge.Pull, error) {
	if m.Target != of.ID {
		return forge.Pull{}, fmt.Errorf("%w: merge request %d is not for project %d", forge.ErrGone, m.Number, of.ID)
	}
	head, err := plan.ParseCommit(m.Head)
	if err != nil {
		return forge.Pull{}, fmt.Errorf("gitlab: head of merge request %d of %s: %w", m.Number, of.Name, err)
	}
	out := forge.Pull{
		Number: m.Number, Head: head, BaseRef: plan.BranchPrefix + m.TargetBranch, Fork: m.Source != m.Target,
		Author: m.Author.known(), Labels: m.Labels, Draft: m.Draft || m.Progress, Open: m.State == "opened", Modified: m.Modified,
	}
	if m.SourceBranch != "" {
		out.HeadRef = plan.BranchPrefix + m.SourceBranch
	}
	return out, nil
}

// Pulls lists the open merge requests of a project, the oldest first. One that has
// no commit yet is left out.
func (g *GitLab) Pulls(ctx context.Context, r forge.Repository) ([]forge.Pull, error) {
	var out []forge.Pull
	var odd error
	query := url.Values{"state": {"opened"}, "order_by": {"created_at"}, "sort": {"asc"}, "scope": {"all"}}
	err := list(ctx, g, within(r.ID, "merge_requests"), query, func(some []merge) bool {
		for _, m := range some {
			if m.Head == "" {
				continue
			}
			var p forge.Pull
			if p, odd = m.known(r); odd != nil {
				return false
			}
			out = append(out, p)
		}
		return true
	})
	if err == nil {
		err = odd
	}
	return out, err
}

// Pull asks for one merge request of a project, open or not.
func (g *GitLab) Pull(ctx context.Context, r forge.Repository, number int64) (forge.Pull, error) {
	m, err := g.merge(ctx, r.ID, number)
	if err != nil {
		return forge.Pull{}, err
	}
	return m.known(r)
}

func (g *GitLab) merge(ctx context.Context, project, number int64) (merge, error) {
	var m merge
	err := g.get(ctx, within(project, "merge_requests/%d", number), &m)
	return m, err
}
