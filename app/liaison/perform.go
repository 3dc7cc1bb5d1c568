package liaison

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage/project"
)

// perform does what an action says. The note tells people what came of it.
func (l *Liaison) perform(ctx context.Context, j job, a hooks.Action) (note string, err error) {
	key := j.at()
	switch {
	case l.forge(key.Kind) == nil:
		return "no such forge is configured", nil
	case a == hooks.Access, a == hooks.Lose, a == hooks.RefreshAll:
		if err := l.survey(ctx, key.Kind); err != nil {
			return "", err
		}
		l.Compared(ctx) // what came back may have builds that were never shown
		return "", nil
	case key.ID == 0:
		return "it names no repository", nil
	}
	done, err := l.turn(ctx, key)
	if err != nil {
		return "", err
	}
	defer done()
	p, err := l.find(ctx, key, j.event)
	switch {
	case errors.Is(err, errNotOurs):
		return err.Error(), nil
	case err != nil:
		return "", err
	}
	return l.at(ctx, p, j, a)
}

// at does what an action says about one repository. It looks where the event points,
// and then does what is to be done about what is there now.
func (l *Liaison) at(ctx context.Context, p place, j job, a hooks.Action) (note string, err error) {
	switch a {
	case hooks.Build, hooks.Remember:
		return l.pushed(ctx, p, j)
	case hooks.Cancel:
		return l.deleted(ctx, p, j)
	case hooks.Reconcile:
		return "", l.doubt(ctx, p, j.event)
	case hooks.BuildPull, hooks.LookPull, hooks.CancelPull:
		return l.pull(ctx, p, j)
	case hooks.BuildGroup:
		return l.group(ctx, p, j)
	case hooks.CancelGroup:
		return "", p.End(ctx, Gone{Event: plan.EventMergeGroup, Commit: j.event.Commit}, build.ReasonDestroyed)
	case hooks.Rerun:
		return l.press(ctx, p, j, hooks.AskRerun)
	case hooks.Do:
		return l.press(ctx, p, j, j.event.Action)
	case hooks.RerunSuite:
		return l.rerunSuite(ctx, p, j)
	case hooks.Obey:
		return l.obey(ctx, p, j)
	case hooks.Refresh:
		return "", nil // find has done it
	case hooks.Remove:
		return "the forge has it still", nil // if it had not, find would have left it
	}
	return "", fmt.Errorf("nobody knows how to %s", a)
}

// A place is where a delivery is about: a repository with its forge and its house.
type place struct {
	forge Forge
	repo  forge.Repository
	since time.Time // when it began to be built here
	House
}

// errNotOurs means that a repository is not one of those that are built here.
var errNotOurs = errors.New("the repository is not built here")

// find finds the place that an event is about. What the event says of the repository
// counts for nothing but its number: the rest is in our record, and if that does not
// say that it is built, or the event says that it may be out of date, the forge is
// asked. Errors: errNotOurs.
func (l *Liaison) find(ctx context.Context, key forge.Key, e hooks.Event) (place, error) {
	p, ok, err := l.onRecord(ctx, key, e)
	if ok || err != nil {
		return p, err
	}
	f := l.forge(key.Kind)
	repo, err := f.Repository(ctx, e.Installation, e.Repository)
	if errors.Is(err, forge.ErrGone) {
		return place{}, cmp.Or(l.leave(ctx, key), errNotOurs)
	}
	if err != nil {
		return place{}, err
	}
	h, err := l.admit(ctx, repo)
	if err != nil {
		return place{}, err
	}
	known, err := l.Projects.Get(ctx, key.String())
	if err != nil {
		return place{}, err
	}
	return place{f, repo, known.Since, h}, nil
}

// onRecord is the place that an event is about, if our record says that it is built
// and the event does not say otherwise. Nobody is asked for it.
func (l *Liaison) onRecord(ctx context.Context, key forge.Key, e hooks.Event) (p place, ok bool, err error) {
	known, err := l.Projects.Get(ctx, key.String())
	if err != nil && !errors.Is(err, project.ErrNone) {
		return place{}, false, err
	}
	h, served := l.Houses.At(key)
	doubted := e.Kind == hooks.RepositoryChanged || e.Kind == hooks.RepositoryDeleted || e.Name != "" && e.Name != known.Name
	if !served || known.State != project.Active || doubted {
		return place{}, false, nil
	}
	return place{l.forge(key.Kind), recorded(key, known), known.Since, h}, true, nil
}

// recorded is a repository as our record has it.
func recorded(key forge.Key, p project.Project) forge.Repository {
	return forge.Repository{
		Key: key, Installation: p.Installation, Name: p.Name, DefaultBranch: p.Default, Clone: p.Clone, Page: p.Page,
		Public: p.Public, Archived: p.State == project.Archived,
	}
}

// trigger is what a delivery asks to be built, with the id, the time and, if nobody
// else is named, the actor. A delivery asks once about each thing, as it is, however
// often it is tried: the id is the same then. What changed between two tries is asked
// for anew, for the first may have been accepted although it failed.
func (l *Liaison) trigger(j job, thing string, of plan.Trigger) plan.Trigger {
	sum := fnv.New64a()
	fmt.Fprint(sum, j.delivery.Key, " ", thing, " ", of.Commit, " ", of.Target)
	of.ID = l.NewID(j.delivery.Received, sum.Sum64())
	of.Received = j.delivery.Received
	of.Actor = cmp.Or(of.Actor, j.event.Sender.Login)
	return of
}

func person(p hooks.Person) forge.User { return forge.User{ID: p.ID, Login: p.Login, Bot: p.Bot} }
