package liaison

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// reasonClosed is why the builds of a pull request end.
const reasonClosed = "pull request closed"

// errLag means that a forge tells of a commit that its git does not show yet.
var errLag = errors.New("the forge does not show the newest commit yet")

// pull builds the head of a pull request as the forge now shows it, or ends its
// builds if it is closed. The trigger is one of the delivery.
func (l *Liaison) pull(ctx context.Context, p place, number int64, sender forge.User, j job) (note string, err error) {
	pull, err := p.forge.Pull(ctx, p.repo, number)
	switch {
	case errors.Is(err, forge.ErrGone):
		return "the pull request is gone", l.shut(ctx, p, number)
	case err != nil:
		return "", err
	case !pull.Open:
		return "it is closed", l.shut(ctx, p, number)
	}
	return "", l.offer(ctx, p, pull, sender, j)
}

// offer has a pull request built as it is. If its builds ended because it was closed,
// the trigger is another request than that of then.
func (l *Liaison) offer(ctx context.Context, p place, pull forge.Pull, sender forge.User, j job) error {
	t, err := l.propose(ctx, p, pull, sender)
	if err != nil {
		return err
	}
	builds, err := p.Builds(ctx, pull.Head)
	if err != nil {
		return err
	}
	t = l.trigger(j, t)
	if i := slices.IndexFunc(builds, of(p.repo.Kind.Ref(pull.Number), pull)); i >= 0 && builds[i].Canceled == reasonClosed {
		t.Request = t.ID
	}
	if err := p.Accept(ctx, t); err != nil {
		return err
	}
	l.saw(p.repo.Key, pull)
	return nil
}

// propose is the trigger of a pull request. Its commit is what git shows, so that
// what is looked at, approved and built is one thing.
func (l *Liaison) propose(ctx context.Context, p place, pull forge.Pull, sender forge.User) (t plan.Trigger, err error) {
	if err := p.Refresh(ctx, p.repo, []int64{pull.Number}); err != nil {
		return t, err
	}
	ref := p.repo.Kind.Ref(pull.Number)
	head, ok, err := p.Tip(ref)
	if err != nil {
		return t, err
	}
	if !ok || head != pull.Head {
		return t, fmt.Errorf("pull request %d of %s: %w", pull.Number, p.repo.Name, errLag)
	}
	t = plan.Trigger{Event: plan.EventPullRequest, Ref: ref, Commit: head, Target: pull.BaseRef, Actor: sender.Login}
	if t.Actor == "" {
		t.Actor = pull.Author.Login
	}
	writers := false
	if !pull.Fork {
		t.Head = pull.HeadRef
		if writers, err = l.writers(ctx, p, pull.Author, sender); err != nil {
			return t, err
		}
	}
	t.Trust = plan.TrustOf(pull.Fork, writers)
	return t, nil
}

// writers reports whether all of these people may write to the repository, as far
// as they are known. Nobody at all may not.
func (l *Liaison) writers(ctx context.Context, p place, people ...forge.User) (bool, error) {
	asked := map[int64]bool{}
	for _, u := range people {
		if u.ID == 0 || asked[u.ID] {
			continue
		}
		asked[u.ID] = true
		if u.Bot {
			if !l.Trusted(u.Login) {
				return false, nil
			}
			continue
		}
		if may, err := l.may(ctx, p, u); err != nil || !may {
			return false, err
		}
	}
	return len(asked) > 0, nil
}

// may asks whether somebody may write, now. Who is not there may not.
func (l *Liaison) may(ctx context.Context, p place, u forge.User) (bool, error) {
	may, err := p.forge.CanWrite(ctx, p.repo, u)
	if errors.Is(err, forge.ErrGone) {
		return false, nil
	}
	return may, err
}

// A sight is a head of a pull request, for a target, that was dealt with.
type sight struct {
	key    forge.Key
	number int64
	head   plan.Commit
	target string
}

// saw notes that a pull request, as it is, was dealt with.
func (l *Liaison) saw(k forge.Key, pull forge.Pull) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) >= maxSeen {
		clear(l.seen) // the ledgers know
	}
	l.seen[sight{k, pull.Number, pull.Head, pull.BaseRef}] = true
}

// maxSeen bounds what is remembered of pull requests.
const maxSeen = 10_000

// shut ends the builds of a pull request that was closed. If it opens again it is as
// if it had never been dealt with.
func (l *Liaison) shut(ctx context.Context, p place, number int64) error {
	l.mu.Lock()
	maps.DeleteFunc(l.seen, func(s sight, _ bool) bool { return s.key == p.repo.Key && s.number == number })
	l.mu.Unlock()
	return p.End(ctx, plan.EventPullRequest, p.repo.Kind.Ref(number), reasonClosed)
}
