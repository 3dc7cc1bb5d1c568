package liaison

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage/project"
)

// A place is where a delivery is about: a repository with its forge and its house.
type place struct {
	forge Forge
	repo  forge.Repository
	House
}

// perform does what an action says. The note tells people what came of it.
func (l *Liaison) perform(ctx context.Context, j job, a hooks.Action) (note string, err error) {
	kind, e := forge.Kind(j.delivery.Forge), j.event
	f := l.forge(kind)
	switch {
	case a == hooks.Drop:
		return e.Note, nil
	case f == nil:
		return "no such forge is configured", nil
	case a == hooks.Access, a == hooks.RefreshAll:
		return "", l.survey(ctx, kind)
	case a == hooks.Lose:
		return "", l.survey(ctx, kind)
	case e.Repository == 0:
		return "it names no repository", nil
	}
	p, err := l.place(ctx, kind, e)
	switch {
	case errors.Is(err, errNotOurs):
		return err.Error(), nil
	case err != nil:
		return "", err
	}
	return l.at(ctx, p, j, a)
}

// at does what an action says about one repository.
func (l *Liaison) at(ctx context.Context, p place, j job, a hooks.Action) (note string, err error) {
	e := j.event
	switch a {
	case hooks.Build, hooks.Remember:
		return l.pushed(ctx, p, j)
	case hooks.Cancel:
		return "", l.deleted(ctx, p, e)
	case hooks.Reconcile:
		return l.doubt(ctx, p, e)
	case hooks.BuildPull, hooks.LookPull:
		return l.pull(ctx, p, e.Pull, person(e.Sender), j)
	case hooks.CancelPull:
		return "", l.shut(ctx, p, e.Pull)
	case hooks.BuildGroup:
		return l.group(ctx, p, j)
	case hooks.CancelGroup:
		return "", p.End(ctx, plan.EventMergeGroup, e.Ref, "merge group destroyed")
	case hooks.Rerun:
		return l.act(ctx, p, e, hooks.AskRerun)
	case hooks.RerunSuite:
		return l.rerunSuite(ctx, p, e)
	case hooks.Do:
		return l.act(ctx, p, e, e.Action)
	case hooks.Obey:
		return l.obey(ctx, p, e)
	case hooks.Refresh:
		return "", nil // place has done it
	case hooks.Label:
		return "labels start nothing", nil
	case hooks.Remove:
		return "", l.leave(ctx, p.repo, "the repository is gone from the forge")
	}
	return "", fmt.Errorf("nobody knows how to %s", a)
}

// errNotOurs means that a repository is not one of those that are built here.
var errNotOurs = errors.New("the repository is not built here")

// place finds where an event is about. What the event says of the repository counts
// for nothing but its number: the rest is in our record, and if that does not say
// that it is built, or the event says that it may be out of date, the forge is asked.
func (l *Liaison) place(ctx context.Context, kind forge.Kind, e hooks.Event) (place, error) {
	f, key := l.forge(kind), forge.Key{Kind: kind, ID: e.Repository}
	known, err := l.Projects.Get(ctx, key.String())
	if err != nil && !errors.Is(err, project.ErrNone) {
		return place{}, err
	}
	h, served := l.Houses.At(key)
	if served && known.State == project.Active && e.Kind != hooks.RepositoryChanged && e.Kind != hooks.RepositoryDeleted {
		return place{f, recorded(key, known), h}, nil
	}
	repo, err := f.Repository(ctx, e.Installation, e.Repository)
	if errors.Is(err, forge.ErrGone) {
		if served {
			err = l.away(ctx, h, key, "the repository is gone from the forge")
			return place{}, cmp.Or(err, errNotOurs)
		}
		return place{}, errNotOurs
	}
	if err != nil {
		return place{}, err
	}
	if h, err = l.admit(ctx, repo); err != nil {
		return place{}, err
	}
	return place{f, repo, h}, nil
}

// recorded is a repository as our record has it.
func recorded(key forge.Key, p project.Project) forge.Repository {
	return forge.Repository{
		Key: key, Installation: p.Installation, Name: p.Name, DefaultBranch: p.Default, Clone: p.Clone, Page: p.Page,
		Public: p.Public, Archived: p.State == project.Archived,
	}
}

// trigger is what a delivery asks to be built. Its id is the same whenever the
// delivery is tried again.
func (l *Liaison) trigger(j job, of plan.Trigger) plan.Trigger {
	sum := fnv.New64a()
	sum.Write([]byte(j.delivery.Key))
	of.ID = l.NewID(j.delivery.Received, sum.Sum64())
	of.Received = j.delivery.Received
	if of.Actor == "" {
		of.Actor = j.event.Sender.Login
	}
	return of
}

func person(p hooks.Person) forge.User { return forge.User{ID: p.ID, Login: p.Login, Bot: p.Bot} }
