package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// notesTries bounds how often notes are merged and sent again when others publish
// at the same time.
const notesTries = 5

// notes sends the notes. When the remote has others it takes them in first, again
// if somebody comes in between.
func (p *publish) notes(ctx context.Context) error {
	for try := range notesTries {
		if try > 0 {
			if err := p.o.Sleep(ctx, backoff(try)); err != nil {
				return err
			}
			if err := p.look(ctx); err != nil {
				return err
			}
		}
		if done, err := p.tryNotes(ctx); done {
			return err
		}
	}
	return fmt.Errorf("%s of %s changed each of the %d times it was merged and sent: publish again", p.at.notes, p.remote, notesTries)
}

// backoff is a time between half and the whole of a second, doubled with each try.
func backoff(try int) time.Duration {
	whole := time.Second << (try - 1)
	return whole/2 + rand.N(whole/2)
}

// tryNotes reports whether it is decided how the sending of notes ends.
func (p *publish) tryNotes(ctx context.Context) (done bool, err error) {
	if !p.o.Apart {
		if err := p.takeIn(ctx, p.there[p.at.notes]); err != nil {
			return true, err
		}
	}
	theirs := p.there[p.at.notes]
	ours, err := p.s.repo.Ref(NotesRef)
	switch {
	case errors.Is(err, git.ErrRefNotFound) && p.o.AfterPurge && !theirs.IsZero():
		// Nothing of the remote's was worth taking in: only what was purged is there.
	case errors.Is(err, git.ErrRefNotFound):
		return true, nil // builds of nothing that git could show a note of
	case err != nil || ours == theirs:
		return true, err
	}
	if p.o.Apart {
		if ours, err = p.joined(ctx, ours); err != nil || ours == p.there[p.at.notes] {
			return true, err
		}
	}
	push := git.Push{Hash: ours, To: p.at.notes, Replace: p.o.AfterPurge, Old: theirs}
	results, err := p.push(ctx, []git.Push{push})
	if err != nil || len(results) == 0 {
		return true, err
	}
	return results[0].Outcome != git.Behind, p.judge(results[0])
}

// takeIn merges the remote's notes into ours unless ours go on from there. After
// a purge only their lines are taken, not their history.
func (p *publish) takeIn(ctx context.Context, theirs git.Hash) error {
	if theirs.IsZero() {
		return nil
	}
	included, err := p.includes(ctx, theirs)
	if included || err != nil {
		return err
	}
	to, err := p.bring(ctx, theirs)
	if err == nil {
		_, _, err = p.s.mergeNotes(ctx, p.remote, to, p.o.AfterPurge)
	}
	return err
}

// bring fetches the remote's notes to our copy of them, which it names. They may have
// moved meanwhile.
func (p *publish) bring(ctx context.Context, theirs git.Hash) (to string, err error) {
	to = notesCopy(p.remote, p.at)
	if have, err := p.s.repo.Ref(to); err == nil && have == theirs {
		return to, nil
	}
	if err := p.remote.Fetch(ctx, []git.Copy{{From: p.at.notes, To: to}}); err != nil {
		return "", err
	}
	if p.there[p.at.notes], err = p.s.repo.Ref(to); err != nil {
		return "", fmt.Errorf("read the notes of %s: %w", p.remote, err)
	}
	return to, nil
}

// joined returns a commit of notes with our lines and the remote's. It goes on from
// both, and is ours or the remote's where that will do. A new one is kept by our copy
// of the remote's notes.
func (p *publish) joined(ctx context.Context, ours git.Hash) (git.Hash, error) {
	if p.there[p.at.notes].IsZero() {
		return ours, nil
	}
	included, err := p.includes(ctx, p.there[p.at.notes])
	if included || err != nil {
		return ours, err
	}
	to, err := p.bring(ctx, p.there[p.at.notes])
	if err != nil {
		return git.Zero, err
	}
	filter, err := p.s.noteFilter()
	if err != nil {
		return git.Zero, err
	}
	theirs, objects := p.there[p.at.notes], p.s.repo.NewBatch()
	merged, _, err := objects.MergeNotes(ctx, git.NotesMerge{
		Ours: ours, Theirs: theirs, Keep: filter.keep,
		Spec: p.s.commit(git.Zero, fmt.Sprintf("merge notes of %s\n", oneLine(p.remote.String()))),
	})
	if err != nil || merged == ours || merged == theirs {
		return merged, err
	}
	if err := p.s.repo.Write(ctx, objects, []git.RefUpdate{{Name: to, Old: theirs, New: merged}}); err != nil {
		return git.Zero, fmt.Errorf("join notes with those of %s: %w", p.remote, err)
	}
	return merged, nil
}

// includes reports whether a notes commit is in the history of ours.
func (p *publish) includes(ctx context.Context, theirs git.Hash) (bool, error) {
	ours, err := p.s.repo.Ref(NotesRef)
	if errors.Is(err, git.ErrRefNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read notes: %w", err)
	}
	if _, err := p.s.repo.Commit(theirs); err != nil {
		return false, nil //nolint:nilerr // not here, or not whole: fetching it tells
	}
	return p.s.repo.IsAncestor(ctx, theirs, ours)
}
