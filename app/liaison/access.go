package liaison

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
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
	var group errgroup.Group
	group.SetLimit(abreast)
	for _, r := range repos {
		there[r.String()] = true
		group.Go(func() error {
			err := l.guard(func() error { return l.visit(ctx, r) }, "repo", r.Name)
			if err != nil && ctx.Err() == nil {
				l.Log.Error("a repository is not served", "repo", r.Name, "err", err)
			}
			return nil // one that fails is no reason not to serve others
		})
	}
	_ = group.Wait()
	return l.missing(ctx, kind, there)
}

// Resume serves the repositories that were served when the server ended. Their builds
// may be under way, and their forges may be away. It is called before Run.
func (l *Liaison) Resume(ctx context.Context) error {
	known, err := l.Projects.List(ctx)
	if err != nil {
		return fmt.Errorf("list repositories that were served: %w", err)
	}
	var group errgroup.Group
	group.SetLimit(abreast)
	for _, p := range known {
		key, ok := forge.ParseKey(p.Key)
		if !ok || p.State != project.Active || l.forge(key.Kind) == nil {
			continue
		}
		group.Go(func() error {
			if r := recorded(key, p); l.Wanted(r) {
				l.resume(ctx, r)
			}
			return nil
		})
	}
	return group.Wait()
}

// resume serves one. If that fails it is tried again when forges are compared with
// what was planned.
func (l *Liaison) resume(ctx context.Context, r forge.Repository) {
	err := l.guard(func() error { return l.Houses.Resume(ctx, r) }, "repo", r.Name)
	if err != nil && ctx.Err() == nil {
		l.Log.Error("a repository is not served yet", "repo", r.Name, "err", err)
	}
}

// visit admits a repository of a survey, if it is to be built.
func (l *Liaison) visit(ctx context.Context, r forge.Repository) error {
	done, err := l.turn(ctx, r.Key)
	if err != nil {
		return err
	}
	defer done()
	if _, err = l.admit(ctx, r); errors.Is(err, errNotOurs) {
		return nil
	}
	return err
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
		done, err := l.turn(ctx, key)
		if err != nil {
			return err
		}
		err = l.leave(ctx, key)
		done()
		if err != nil {
			return err
		}
	}
	return nil
}

// admit records a repository as the forge shows it, and serves it if it shall be
// built. Errors: errNotOurs if it shall not; then it is served no more.
func (l *Liaison) admit(ctx context.Context, r forge.Repository) (House, error) {
	if !l.Wanted(r) {
		return nil, l.decline(ctx, r.Key, "the configuration leaves it out")
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
		return nil, l.decline(ctx, r.Key, "it is archived")
	}
	h, err := l.Houses.Open(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", r.Name, err)
	}
	return h, nil
}

// decline is errNotOurs with a reason, once the repository is not served any more.
func (l *Liaison) decline(ctx context.Context, key forge.Key, reason string) error {
	if err := l.close(ctx, key, reason); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", errNotOurs, reason)
}

// leave ends everything about a repository that the forge does not show to us.
func (l *Liaison) leave(ctx context.Context, key forge.Key) error {
	known, err := l.Projects.Get(ctx, key.String())
	switch {
	case err == nil:
		known.State = project.Away
		_, err = l.Projects.Put(ctx, known)
	case errors.Is(err, project.ErrNone):
		err = nil
	}
	if err != nil {
		return err
	}
	return l.close(ctx, key, "the forge does not show it")
}

// close ends the builds of a repository and serves it no more.
func (l *Liaison) close(ctx context.Context, key forge.Key, reason string) error {
	h, served := l.Houses.At(key)
	if !served {
		return nil
	}
	if err := h.End(ctx, Gone{}, build.ReasonLeft+reason); err != nil {
		return err
	}
	return l.Houses.Close(ctx, key)
}
