package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// liveBuilds reads the live builds and finds those that make no sense, or are in
// the archive already.
func (x *examination) liveBuilds(ctx context.Context) error {
	refs, _, err := x.repo.Refs(storeRef(x.store, "live/"))
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if x.said[ref.Name] {
			continue
		}
		k, err := x.loadBuild(x.store, ref)
		switch {
		case err == nil:
			x.live[k.id.Number] = k
			err = x.archivedToo(ctx, ref, k)
		case newer(err) && x.ledger == nil:
			err = x.found(ctx, newerFinding(ref.Name, err))
		case !damage(err):
			err = fmt.Errorf("read %s: %w", ref.Name, err)
		default:
			err = x.found(ctx, x.unreadable(ref, err))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func newerFinding(place string, err error) Finding {
	return Finding{
		Code: NewerVersion, Severity: Notice, Place: place, Problem: err.Error(),
		Remedy: "it is left alone: the newer velocity that wrote it can go on with it",
	}
}

// unreadable is mended by an older state if there is one and somebody asked for a
// repair. At the start nobody looks on, and the build is put away as it is.
func (x *examination) unreadable(ref git.Ref, why error) Finding {
	thorough := x.depth > atStart
	return Finding{
		Code: UnreadableBuild, Severity: Damage, Place: ref.Name, Problem: why.Error(),
		Remedy: "the build goes back to its newest state that is complete, and says so; if there is none, it is quarantined",
		mend: func(ctx context.Context, l *Ledger) (string, error) {
			if thorough {
				k, did, err := l.rollBack(ctx, ref)
				if err != nil {
					return "", err
				}
				if k != nil {
					x.live[k.id.Number] = k
					return did, nil
				}
			}
			return l.putAway(ctx, ref, "live-"+lastOf(ref.Name), why)
		},
	}
}

// archivedToo finds what a fold that did not end has left.
func (x *examination) archivedToo(ctx context.Context, ref git.Ref, k *kept) error {
	archived, err := x.placed(archiveBlockOf(k.id), k.id)
	switch {
	case errors.Is(err, ErrNoBuild):
		if !k.build.State().Final() || x.foldsItself() {
			return nil
		}
		return x.found(ctx, foldFinding(ref.Name, NotFolded, "the build is finished and not in the archive"))
	case err != nil && damage(err):
		return nil // found with the archive
	case err != nil:
		return fmt.Errorf("look for %s in the archive: %w", k.id, err)
	}
	state, err := x.repo.NewBatch().Tree(k.state())
	if err != nil {
		return err
	}
	if state == archived {
		if x.foldsItself() {
			return nil
		}
		return x.found(ctx, foldFinding(ref.Name, ArchivedLive, "the build is in the archive and still live"))
	}
	why := fmt.Errorf("the archive has another state of build %s", k.id)
	return x.found(ctx, Finding{
		Code: ArchivedOther, Severity: Damage, Place: ref.Name, Problem: why.Error(),
		Remedy: "the archived state counts, and the live one is quarantined",
		mend: func(ctx context.Context, l *Ledger) (string, error) {
			delete(x.live, k.id.Number)
			if err := l.quarantine(ctx, ref, "live-"+lastOf(ref.Name), why); err != nil {
				return "", err
			}
			return fmt.Sprintf("%s was quarantined: %v", ref.Name, why), nil
		},
	})
}

// foldsItself reports whether a writer folds what is final without being told.
func (x *examination) foldsItself() bool { return x.depth == atStart || x.writer != "" }

// state is what of a live build's tree goes into the archive.
func (k *kept) state() []git.TreeEntry {
	return slices.DeleteFunc(slices.Clone(k.entries), func(e git.TreeEntry) bool { return e.Name == logsFolder })
}

// foldFinding is mended by the writer, which folds what is final before it does
// anything else.
func foldFinding(place string, code Code, problem string) Finding {
	return Finding{
		Code: code, Severity: Leftover, Place: place, Problem: problem, Remedy: "the next writer folds it",
		mend: func(context.Context, *Ledger) (string, error) { return "folded " + place + " into the archive", nil },
	}
}

// loadBuild reads one live build and makes sure that its parts agree.
func (s *Store) loadBuild(store string, ref git.Ref) (*kept, error) {
	n, ok := parseDigits(lastOf(ref.Name))
	if !ok {
		return nil, errors.New("its name is not a build's number")
	}
	k := &kept{stand: stand{id: build.ID{Store: store, Number: n}}, head: ref.Hash}
	c, err := s.repo.Commit(ref.Hash)
	if err != nil {
		return nil, err
	}
	k.tree = c.Tree
	if k.entries, err = s.repo.List(k.tree, ""); err != nil {
		return nil, err
	}
	if k.build, err = s.build(k.id, k.tree); err != nil {
		return nil, err
	}
	if _, err := s.plan(k.tree); err != nil {
		return nil, err
	}
	if k.events, k.told, err = s.replayed(k.tree, k.build); err != nil {
		return nil, err
	}
	k.seq = k.build.Seq
	return k, nil
}

// replayed returns what events does, if the moves add up to b.
func (s *Store) replayed(tree git.Hash, b *build.Build) (events []byte, told int, err error) {
	if events, told, err = s.events(tree); err != nil {
		return nil, 0, err
	}
	moves, err := decodeMoves(events)
	if err != nil {
		return nil, 0, err
	}
	again, err := build.Replay(moves)
	if err != nil {
		return nil, 0, err
	}
	return events, told, agree(again, b)
}

// agree fails unless two builds are stored as the same bytes.
func agree(replayed, read *build.Build) error {
	one, err := encodeBuild(replayed)
	if err != nil {
		return err
	}
	two, err := encodeBuild(read)
	if err != nil {
		return err
	}
	if !bytes.Equal(one, two) {
		return errors.New(eventsFile + " and " + buildFile + " disagree")
	}
	return nil
}
