package github

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Limits of lists.
const (
	perPage  = 100
	maxPages = 100
)

// An Installation is the App in one account.
type Installation struct {
	ID        int64
	Account   string // login of the user or organisation
	Page      string // address of its settings, for who owns the account
	Suspended bool
	Missing   []Need // what its owner has not granted
}

// installation is an Installation as GitHub sends it. Permissions are a map, since
// go-github does not know all of them.
type installation struct {
	ID      int64 `json:"id"`
	Account struct {
		Login string `json:"login"`
	} `json:"account"`
	HTMLURL     string            `json:"html_url"`
	SuspendedAt string            `json:"suspended_at"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
}

// repository is a repository as GitHub sends it.
type repository struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
	CloneURL      string `json:"clone_url"`
	HTMLURL       string `json:"html_url"`
	Private       bool   `json:"private"`
	Archived      bool   `json:"archived"`
}

func (r repository) known(installation int64) forge.Repository {
	out := forge.Repository{
		Key:          forge.Key{Kind: forge.GitHub, ID: r.ID},
		Installation: installation,
		Name:         r.FullName,
		Clone:        r.CloneURL,
		Page:         r.HTMLURL,
		Public:       !r.Private,
		Archived:     r.Archived,
	}
	if r.DefaultBranch != "" {
		out.DefaultBranch = plan.BranchPrefix + r.DefaultBranch
	}
	return out
}

// Installations lists where the App is installed, suspended ones included.
func (a *App) Installations(ctx context.Context) ([]Installation, error) {
	var out []Installation
	err := pages(func(page string) (*github.Response, error) {
		var some []installation
		resp, err := a.self.get(ctx, "app/installations?"+page, &some)
		for _, in := range some {
			out = append(out, Installation{
				ID: in.ID, Account: in.Account.Login, Page: in.HTMLURL, Suspended: in.SuspendedAt != "",
				Missing: missing(in.Permissions, in.Events),
			})
		}
		return resp, err
	})
	return out, err
}

// Repositories lists what the App is let into, over all installations that are not
// suspended. What could be read is returned beside the error of what could not.
func (a *App) Repositories(ctx context.Context) ([]forge.Repository, error) {
	installations, err := a.Installations(ctx)
	if err != nil {
		return nil, err
	}
	var out []forge.Repository
	var failed []error
	for _, in := range installations {
		if in.Suspended {
			continue
		}
		some, err := a.repositories(ctx, in.ID)
		out = append(out, some...)
		if err != nil {
			failed = append(failed, fmt.Errorf("repositories of %s: %w", in.Account, err))
		}
	}
	return out, errors.Join(failed...)
}

func (a *App) repositories(ctx context.Context, installation int64) ([]forge.Repository, error) {
	var out []forge.Repository
	err := pages(func(page string) (*github.Response, error) {
		var some struct {
			Repositories []repository `json:"repositories"`
		}
		resp, err := a.door(installation).get(ctx, "installation/repositories?"+page, &some)
		for _, r := range some.Repositories {
			out = append(out, r.known(installation))
		}
		return resp, err
	})
	return out, err
}

// Repository looks a repository up by its number, through an installation that is
// let into it. The answer has the name and the place of today.
func (a *App) Repository(ctx context.Context, installation, id int64) (forge.Repository, error) {
	var r repository
	if _, err := a.door(installation).get(ctx, fmt.Sprintf("repositories/%d", id), &r); err != nil {
		return forge.Repository{}, err
	}
	if r.ID != id {
		return forge.Repository{}, fmt.Errorf("%w: asked for repository %d, and the answer is about %d", forge.ErrGone, id, r.ID)
	}
	return r.known(installation), nil
}

// pages asks for one page after the other.
func pages(ask func(query string) (*github.Response, error)) error {
	for page := 1; ; {
		resp, err := ask("per_page=" + strconv.Itoa(perPage) + "&page=" + strconv.Itoa(page))
		if err != nil {
			return err
		}
		if resp.NextPage <= page {
			return nil
		}
		if page = resp.NextPage; page > maxPages {
			return fmt.Errorf("github: %s has more than %d pages", resp.Request.URL.Path, maxPages)
		}
	}
}

// part is one half of a repository's name, of at most maxCalled bytes. It is what
// GitHub lets people choose. A count in an expression would be compiled into as many
// copies, at every start of the program.
var part = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// maxCalled bounds the names of repositories, their owners and people, in bytes.
const maxCalled = 100

// within is where a repository's own things are asked for.
func within(r forge.Repository, format string, args ...any) (string, error) {
	owner, name, _ := strings.Cut(r.Name, "/")
	for _, half := range []string{owner, name} {
		if len(half) > maxCalled || !part.MatchString(half) || strings.Trim(half, ".") == "" {
			return "", fmt.Errorf("%w: %q is not a repository's name", forge.ErrInvalid, r.Name)
		}
	}
	return "repos/" + owner + "/" + name + "/" + fmt.Sprintf(format, args...), nil
}
