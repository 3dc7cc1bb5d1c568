package liaison

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
)

// errLag means that a forge tells of a commit that its git does not show, or not any
// more.
var errLag = errors.New("the forge's git shows another commit than the forge")

// pull builds the head of a pull request as the forge now shows it, or ends its
// builds if it is closed. Of one that was closed and is open again, the delivery that
// says so tells who did that.
func (l *Liaison) pull(ctx context.Context, p place, j job) (note string, err error) {
	pull, err := p.forge.Pull(ctx, p.repo, j.event.Pull)
	switch {
	case errors.Is(err, forge.ErrGone):
		return "the pull request is gone", l.shut(ctx, p, j.event.Pull)
	case err != nil:
		return "", err
	case !pull.Open:
		return "the pull request is closed", l.shut(ctx, p, j.event.Pull)
	}
	if j.event.Kind == hooks.PullClosed {
		return "the pull request is open", nil
	}
	if err := p.Refresh(ctx, p.repo, []int64{pull.Number}); err != nil {
		return "", err
	}
	return "", l.propose(ctx, p, pull, person(j.event.Sender), j)
}

// shut ends the builds of a pull request.
func (l *Liaison) shut(ctx context.Context, p place, number int64) error {
	l.mu.Lock()
	delete(l.seen, spot{p.repo.Key, number}) // if it is opened again, it is to be looked at
	l.mu.Unlock()
	return p.End(ctx, Gone{Event: plan.EventPullRequest, Ref: p.repo.Kind.Ref(number)}, build.ReasonClosed)
}

// propose has a pull request built whose head was fetched. The commit is what git
// shows, so that what is looked at, approved and built is one thing.
func (l *Liaison) propose(ctx context.Context, p place, pull forge.Pull, sender forge.User, j job) error {
	t := plan.Trigger{Event: plan.EventPullRequest, Ref: p.repo.Kind.Ref(pull.Number), Target: pull.BaseRef, Actor: cmp.Or(sender.Login, pull.Author.Login)}
	head, ok, err := p.Tip(t.Ref)
	if err != nil {
		return err
	}
	if !ok || head != pull.Head {
		return fmt.Errorf("pull request %d of %s: %w", pull.Number, p.repo.Name, errLag)
	}
	t.Commit = head
	writers := false
	if !pull.Fork {
		t.Head = pull.HeadRef
		if writers, err = l.writers(ctx, p, pull.Author, sender); err != nil {
			return err
		}
	}
	t.Trust = plan.TrustOf(pull.Fork, writers)
	if err := p.Accept(ctx, l.trigger(j, strconv.FormatInt(pull.Number, 10), t)); err != nil {
		return err
	}
	l.saw(p.repo.Key, pull)
	return nil
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

// about reports whether a build is of a pull request as it is: its own, or that of
// its branch, which answers both.
func about(b *build.Build, kind forge.Kind, pull forge.Pull) bool {
	t := b.Trigger
	switch {
	case t.Commit != pull.Head:
		return false
	case t.Event == plan.EventPullRequest:
		return t.Ref == kind.Ref(pull.Number) && t.Target == pull.BaseRef
	}
	return t.Event == plan.EventPush && !pull.Fork && t.Ref != "" && t.Ref == pull.HeadRef
}

// A spot is a pull request of a repository.
type spot struct {
	key    forge.Key
	number int64
}

// A sight is what a pull request was when it was dealt with.
type sight struct {
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
	l.seen[spot{k, pull.Number}] = sight{pull.Head, pull.BaseRef}
}

// maxSeen bounds what is remembered of pull requests.
const maxSeen = 10_000
