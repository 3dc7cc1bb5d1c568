package liaison

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/storage/project"
)

// survey asks a forge for all repositories, and serves those that shall be built,
// and no others.
func (l *Liaison) survey(ctx context.Context, kind forge.Kind) error {
	repos, err := l.forge(kind).Repositories(ctx)
	if err != nil {
		return fmt.Errorf("list repositories: %w", err)
	}
	there := map[string]bool{}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(abreast)
	for _, r := range repos {
		there[r.String()] = true
		group.Go(func() error {
			if _, err := l.admit(within, r); err != nil && !errors.Is(err, errNotOurs) {
				l.Log.Error("a repository is not served", "repo", r.Name, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait() // one that fails is no reason not to serve others
	return l.missing(ctx, kind, there)
}

// missing leaves the repositories that a forge shows to us no more.
func (l *Liaison) missing(ctx context.Context, kind forge.Kind, there map[string]bool) error {
	known, err := l.Projects.List(ctx)
	if err != nil {
		return err
	}
	for _, p := range known {
		key, ok := forge.ParseKey(p.Key)
		if !ok || key.Kind != kind || there[p.Key] || p.State == project.Away {
			continue
		}
		h, served := l.Houses.At(key)
		if !served {
			p.State = project.Away
			if _, err := l.Projects.Put(ctx, p); err != nil {
				return err
			}
			continue
		}
		if err := l.away(ctx, h, key, "the repository cannot be reached any more"); err != nil {
			return err
		}
	}
	return nil
}

// admit records a repository as the forge shows it, and serves it if it shall be
// built.
func (l *Liaison) admit(ctx context.Context, r forge.Repository) (House, error) {
	if !l.Wanted(r) {
		return nil, fmt.Errorf("%w: the configuration leaves %s out", errNotOurs, r.Name)
	}
	state := project.Active
	if r.Archived {
		state = project.Archived
	}
	if _, err := l.Projects.Put(ctx, project.Project{
		Key: r.String(), Name: r.Name, Installation: r.Installation, Default: r.DefaultBranch,
		Clone: r.Clone, Page: r.Page, Public: r.Public, State: state,
	}); err != nil {
		return nil, err
	}
	if r.Archived {
		if h, served := l.Houses.At(r.Key); served {
			return nil, errors.Join(errNotOurs, l.close(ctx, h, r.Key, "the repository is archived"))
		}
		return nil, fmt.Errorf("%w: %s is archived", errNotOurs, r.Name)
	}
	h, err := l.Houses.Open(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", r.Name, err)
	}
	return h, nil
}

// leave ends everything about a repository that is there for us no more.
func (l *Liaison) leave(ctx context.Context, r forge.Repository, reason string) error {
	if h, served := l.Houses.At(r.Key); served {
		return l.away(ctx, h, r.Key, reason)
	}
	return nil
}

func (l *Liaison) away(ctx context.Context, h House, key forge.Key, reason string) error {
	known, err := l.Projects.List(ctx)
	if err != nil {
		return err
	}
	for _, p := range known {
		if p.Key != key.String() {
			continue
		}
		p.State = project.Away
		if _, err := l.Projects.Put(ctx, p); err != nil {
			return err
		}
	}
	return l.close(ctx, h, key, reason)
}

func (l *Liaison) close(ctx context.Context, h House, key forge.Key, reason string) error {
	if err := h.End(ctx, "", "", reason); err != nil {
		return err
	}
	return l.Houses.Close(ctx, key)
}
