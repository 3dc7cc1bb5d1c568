package github

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// pull is a pull request as GitHub sends it. The head's repository is null when the
// fork is gone.
type pull struct {
	Number    int64     `json:"number"`
	State     string    `json:"state"`
	Draft     bool      `json:"draft"`
	UpdatedAt time.Time `json:"updated_at"`
	User      user      `json:"user"`
	Labels    []struct {
		Name string `json:"name"`
	} `json:"labels"`
	Head, Base struct {
		Ref  string      `json:"ref"`
		SHA  string      `json:"sha"`
		Repo *repository `json:"repo"`
	}
}

type user struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

// known reads a pull request that is said to be one of a repository's.
func (p pull) known(of forge.Repository) (forge.Pull, error) {
	if p.Base.Repo == nil || p.Base.Repo.ID != of.ID {
		return forge.Pull{}, fmt.Errorf("%w: %s is the name of another repository by now", forge.ErrGone, of.Name)
	}
	head, err := plan.ParseCommit(p.Head.SHA)
	if err != nil {
		return forge.Pull{}, fmt.Errorf("github: head of pull request %d of %s: %w", p.Number, of.Name, err)
	}
	out := forge.Pull{
		Number:   p.Number,
		Head:     head,
		BaseRef:  plan.BranchPrefix + p.Base.Ref,
		Fork:     p.Head.Repo == nil || p.Head.Repo.ID != of.ID,
		Author:   forge.User{ID: p.User.ID, Login: p.User.Login, Bot: p.User.Type == "Bot"},
		Draft:    p.Draft,
		Open:     p.State == "open",
		Modified: p.UpdatedAt,
	}
	if p.Head.Ref != "" {
		out.HeadRef = plan.BranchPrefix + p.Head.Ref
	}
	for _, l := range p.Labels {
		out.Labels = append(out.Labels, l.Name)
	}
	return out, nil
}

// Pulls lists the open pull requests of a repository, the oldest first. To ask
// again costs nothing of the limit while nothing has changed.
func (a *App) Pulls(ctx context.Context, r forge.Repository) ([]forge.Pull, error) {
	where, err := within(r, "pulls?state=open&sort=created&direction=asc&")
	if err != nil {
		return nil, err
	}
	var out []forge.Pull
	err = pages(func(page string) (*github.Response, error) {
		var some []pull
		resp, err := a.door(r.Installation).get(ctx, where+page, &some)
		for _, p := range some {
			known, odd := p.known(r)
			if odd != nil {
				return nil, odd
			}
			out = append(out, known)
		}
		return resp, err
	})
	return out, err
}

// Pull asks for one pull request of a repository, open or not.
func (a *App) Pull(ctx context.Context, r forge.Repository, number int64) (forge.Pull, error) {
	where, err := within(r, "pulls/%d", number)
	if err != nil {
		return forge.Pull{}, err
	}
	var p pull
	if _, err := a.door(r.Installation).get(ctx, where, &p); err != nil {
		return forge.Pull{}, err
	}
	return p.known(r)
}

// login is what GitHub lets people, and the bots of Apps, be called.
var login = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(\[bot\])?$`)

// isLogin reports whether somebody can be called so.
func isLogin(name string) bool {
	return len(strings.TrimSuffix(name, "[bot]")) <= maxCalled && login.MatchString(name)
}

// CanWrite reports whether somebody may write to a repository at this moment. Both
// are known by their numbers: their names are looked up, or compared with the
// number that answers to them, since names can be taken over.
func (a *App) CanWrite(ctx context.Context, r forge.Repository, u forge.User) (bool, error) {
	if u.ID == 0 || !isLogin(u.Login) {
		return false, nil
	}
	now, err := a.Repository(ctx, r.Installation, r.ID)
	if err != nil {
		return false, err
	}
	where, err := within(now, "collaborators/%s/permission", url.PathEscape(u.Login))
	if err != nil {
		return false, err
	}
	var said struct {
		Permission string `json:"permission"` // maintain is said as write, triage as read
		User       user   `json:"user"`
	}
	_, err = a.door(r.Installation).get(ctx, where, &said)
	if errors.Is(err, forge.ErrGone) { // the repository is there, so it is the person who is not
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return said.User.ID == u.ID && (said.Permission == "write" || said.Permission == "admin"), nil
}
