package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// developer is the least access level that may write to a repository.
const developer = 30

// project is a project as GitLab sends it.
type project struct {
	ID            int64  `json:"id"`
	Path          string `json:"path_with_namespace"`
	DefaultBranch string `json:"default_branch"`
	Clone         string `json:"http_url_to_repo"`
	Page          string `json:"web_url"`
	Visibility    string `json:"visibility"`
	Archived      bool   `json:"archived"`
}

func (p project) known() forge.Repository {
	out := forge.Repository{
		Key: key(p.ID), Name: p.Path, Clone: p.Clone, Page: p.Page,
		Public: p.Visibility == "public", Archived: p.Archived,
	}
	if p.DefaultBranch != "" {
		out.DefaultBranch = plan.BranchPrefix + p.DefaultBranch
	}
	return out
}

// Projects lists the projects that the token's user may write to, by their numbers.
func (g *GitLab) Projects(ctx context.Context) ([]forge.Repository, error) {
	var out []forge.Repository
	query := url.Values{"membership": {"true"}, "min_access_level": {strconv.Itoa(developer)}, "order_by": {"id"}, "sort": {"asc"}}
	err := list(ctx, g, "projects", query, func(some []project) bool {
		for _, p := range some {
			out = append(out, p.known())
		}
		return true
	})
	return out, err
}

// Project looks a project up by its number. The answer has the name of today.
func (g *GitLab) Project(ctx context.Context, id int64) (forge.Repository, error) {
	var p project
	if err := g.get(ctx, within(id, ""), &p); err != nil {
		return forge.Repository{}, err
	}
	if p.ID != id {
		return forge.Repository{}, fmt.Errorf("%w: asked for project %d, and the answer is about %d", forge.ErrGone, id, p.ID)
	}
	return p.known(), nil
}

// within is where a project's own things are asked for.
func within(project int64, format string, args ...any) string {
	path := fmt.Sprintf("projects/%d", project)
	if format == "" {
		return path
	}
	return path + "/" + fmt.Sprintf(format, args...)
}

// CanWrite reports whether somebody may write to a project at this moment: as a
// member of it or of a group above it, with the role Developer or more. Both are
// known by their numbers. An administrator of the GitLab who is no member is not
// counted.
func (g *GitLab) CanWrite(ctx context.Context, r forge.Repository, u forge.User) (bool, error) {
	if u.ID <= 0 {
		return false, nil
	}
	var m struct {
		ID      int64  `json:"id"`
		State   string `json:"state"`
		Locked  bool   `json:"locked"`
		Level   int    `json:"access_level"`
		Expires string `json:"expires_at"`
		Status  string `json:"membership_state"`
	}
	err := g.get(ctx, within(r.ID, "members/all/%d", u.ID), &m)
	if errors.Is(err, forge.ErrGone) { // which of both is gone is not said
		_, err = g.Project(ctx, r.ID)
		return false, err
	}
	if err != nil {
		return false, err
	}
	active := m.State == "active" && !m.Locked && (m.Status == "" || m.Status == "active")
	return m.ID == u.ID && active && m.Level >= developer && !over(m.Expires, g.options.Now()), nil
}

// over reports whether a date has come on which something ends. What cannot be read
// has ended.
func over(date string, now time.Time) bool {
	if date == "" {
		return false
	}
	end, err := time.Parse(time.DateOnly, date)
	return err != nil || !now.Before(end)
}
