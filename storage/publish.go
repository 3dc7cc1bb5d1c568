package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// ErrNothingBuilt means that a repository has no store of its own to publish.
var ErrNothingBuilt = errors.New("nothing was built in this repository")

// PublishOptions say what is published, and how.
type PublishOptions struct {
	Logs      bool // the logs, too
	Branches  bool // as branches, for remotes that take nothing else
	NotesOnly bool // no archives
	// Apart leaves our notes as they are when the remote has others: both are joined
	// for the remote alone.
	Apart      bool
	AfterPurge bool // replace there what a purge has rewritten here, and drop what it dropped
	// Sleep waits for a time or for the end of the context.
	Sleep func(context.Context, time.Duration) error
	// Waiting is told before a wait that keeps to the bound on pushes. Both must be set.
	Waiting func(time.Duration)
}

// A RefusedError means that a remote does not take a ref that Velocity sends.
type RefusedError struct{ Remote, Ref, Reason string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s refused %s: %s", e.Remote, e.Ref, e.Reason)
}

// A ConflictError means that a remote's ref holds something that this repository
// did not put there, or that a purge took out here. Nothing was overwritten.
type ConflictError struct{ Remote, Ref, Reason string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s of %s holds what this repository does not have: %s", e.Ref, e.Remote, e.Reason)
}

// Publish sends the own store's archives, with their logs if asked for, and then
// the notes to a remote, and returns how many refs it sent. Nothing is replaced
// there but logs that were published from here before; with AfterPurge also
// archives and notes, each only if it is as it was last seen. One publish to a
// remote runs at a time.
//
// Errors: ErrNothingBuilt, *RefusedError, *ConflictError.
func (s *Store) Publish(ctx context.Context, remote *git.Remote, o PublishOptions) (sent int, err error) {
	own, err := s.ID()
	if err != nil {
		return 0, err
	}
	if own == "" {
		return 0, ErrNothingBuilt
	}
	state, err := s.openPublished(ctx, remote.Key(), o.Sleep)
	if err != nil {
		return 0, fmt.Errorf("publish to %s: %w", remote, err)
	}
	p := &publish{s: s, own: own, remote: remote, o: o, state: state, at: plainLayout}
	if o.Branches {
		p.at = branchLayout
	}
	err = p.run(ctx)
	return p.sent, errors.Join(err, state.save(), state.close())
}

// A publish is one run of Publish.
type publish struct {
	s      *Store
	own    string
	remote *git.Remote
	o      PublishOptions
	state  *published
	at     layout
	there  map[string]git.Hash // the remote's refs
	sent   int
}

func (p *publish) run(ctx context.Context) error {
	if err := p.look(ctx); err != nil {
		return err
	}
	var pushes []git.Push
	if !p.o.NotesOnly {
		var err error
		if pushes, err = p.archives(); err != nil {
			return err
		}
		if err = p.purgedThere(); err != nil {
			return err
		}
	}
	var conflict error // of logs, which keep nothing else from being sent
	if p.o.Logs || p.o.AfterPurge {
		logs, err := p.logs(&conflict)
		if err != nil {
			return err
		}
		pushes = append(pushes, logs...)
	}
	if p.o.AfterPurge {
		dropped, err := p.dropped(&conflict)
		if err != nil {
			return err
		}
		pushes = append(pushes, dropped...)
	}
	results, err := p.push(ctx, pushes)
	if err != nil {
		return err
	}
	for _, r := range results {
		if err := p.judge(r); err != nil {
			return err
		}
	}
	return cmp.Or(p.notes(ctx), conflict)
}

// look lists what the remote has.
func (p *publish) look(ctx context.Context) error {
	refs, err := p.remote.List(ctx, p.at.stores+p.own+"/", p.at.notes)
	if err != nil {
		return err
	}
	p.there = map[string]git.Hash{}
	for _, ref := range refs {
		p.there[ref.Name] = ref.Hash
	}
	return nil
}

// archives lists those to be sent. They only grow, but for a purge.
func (p *publish) archives() ([]git.Push, error) {
	pushes, err := p.changed(archiveFolder)
	for i := range pushes {
		old := pushes[i].Old
		pushes[i].Replace = p.o.AfterPurge && (old.IsZero() || p.state.sent(pushes[i].To, old))
	}
	return pushes, err
}

// logs lists those to be sent. They are commits without parents, renewed at each
// fold, and can only be replaced. What was not published from here stays, and is
// the conflict.
func (p *publish) logs(conflict *error) ([]git.Push, error) {
	changed, err := p.changed(logsRefFolder)
	var pushes []git.Push
	for _, push := range changed {
		if push.Old.IsZero() && !p.o.Logs {
			continue // after a purge only what is there counts
		}
		if push.Replace = push.Old.IsZero() || p.state.sent(push.To, push.Old); push.Replace {
			pushes = append(pushes, push)
			continue
		}
		*conflict = p.foreign(push.To, push.Old)
	}
	return pushes, err
}

// purgedThere is the conflict that the remote has a block which a purge has emptied
// here: there is nothing to send, and yet it is not up to date.
func (p *publish) purgedThere() error {
	if p.o.AfterPurge {
		return nil
	}
	purged, err := p.s.purged(p.own)
	if err != nil {
		return fmt.Errorf("read %s: %w", purgedFile, err)
	}
	for id := range purged {
		to := p.at.stores + p.own + "/" + archiveBlockOf(id)
		if p.there[to].IsZero() {
			continue
		}
		if _, err := p.s.repo.Ref(archiveRef(id)); errors.Is(err, git.ErrRefNotFound) {
			return &ConflictError{Remote: p.remote.String(), Ref: to, Reason: "build " + id.String() + " was purged here"}
		}
	}
	return nil
}

// dropped lists the own store's blocks that the remote has and a purge has taken
// out here.
func (p *publish) dropped(conflict *error) ([]git.Push, error) {
	var pushes []git.Push
	for to, old := range p.there {
		name, ours := strings.CutPrefix(to, p.at.stores+p.own+"/")
		if !ours || !validBlock(name) {
			continue
		}
		_, err := p.s.repo.Ref(storeRef(p.own, name))
		switch {
		case err == nil:
		case !errors.Is(err, git.ErrRefNotFound):
			return nil, fmt.Errorf("list what to drop: %w", err)
		case p.state.sent(to, old):
			pushes = append(pushes, git.Push{To: to, Replace: true, Old: old})
		default:
			*conflict = p.foreign(to, old)
		}
	}
	return pushes, nil
}

// foreign says that a ref holds what was not published from here.
func (p *publish) foreign(ref string, h git.Hash) error {
	return &ConflictError{Remote: p.remote.String(), Ref: ref, Reason: "it is at " + h.String() + ", which was not published from here"}
}

// changed lists the own store's blocks in a folder that the remote has otherwise
// or not at all. Those it has alike are ours, whoever sent them.
func (p *publish) changed(folder string) ([]git.Push, error) {
	refs, _, err := p.s.repo.Refs(storeRef(p.own, folder))
	if err != nil {
		return nil, fmt.Errorf("list what to publish: %w", err)
	}
	var pushes []git.Push
	for _, ref := range refs {
		name := folder + lastOf(ref.Name)
		to := p.at.stores + p.own + "/" + name
		switch old := p.there[to]; {
		case !validBlock(name):
		case old == ref.Hash:
			p.state.remember(to, old, old)
		default:
			pushes = append(pushes, git.Push{Hash: ref.Hash, To: to, Old: old})
		}
	}
	return pushes, nil
}

// push sends refs, at the pace that remotes are spared with. What is about to be
// sent is remembered first: should we die, it is known to be ours.
func (p *publish) push(ctx context.Context, pushes []git.Push) ([]git.PushResult, error) {
	if len(pushes) == 0 {
		return nil, nil
	}
	if err := p.pace(ctx); err != nil {
		return nil, err
	}
	for _, push := range pushes {
		p.state.remember(push.To, p.there[push.To], push.Hash)
	}
	p.state.Pushes = append(p.state.Pushes, p.s.now())
	if err := p.state.save(); err != nil {
		return nil, fmt.Errorf("remember what is published: %w", err)
	}
	results, err := p.remote.Push(ctx, pushes)
	for _, r := range results {
		if r.Outcome == git.Taken {
			p.sent++
		}
	}
	return results, err
}

// pace waits until one more push is within the bound.
func (p *publish) pace(ctx context.Context) error {
	wait := p.state.wait(p.s.now())
	if wait <= 0 {
		return nil
	}
	p.o.Waiting(wait)
	return p.o.Sleep(ctx, wait)
}

// judge turns a ref that was not taken into an error.
func (p *publish) judge(r git.PushResult) error {
	switch r.Outcome {
	case git.Behind:
		return &ConflictError{Remote: p.remote.String(), Ref: r.Ref, Reason: r.Reason}
	case git.Refused:
		return &RefusedError{Remote: p.remote.String(), Ref: r.Ref, Reason: r.Reason}
	}
	return nil
}
