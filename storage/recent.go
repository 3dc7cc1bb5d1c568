package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// recentFile holds the moves of a live build that are not in its buildFile and
// eventsFile yet. Those of a build with thousands of tasks take megabytes; to
// write them anew with every batch would hold up all other builds.
const recentFile = "recent.jsonl"

// A build is written whole as long as that is little, in bytes, and later once
// its recent moves are a fair part of it. What is written per batch then grows
// with the square root of the build and not with the build.
const (
	littleState = 64 << 10
	recentPart  = 32
)

// putState adds what the build's moves have made of it, whole or as recent moves.
// A final build is always whole: the archive has nothing else.
func (s *staged) putState(objects *git.Batch) error {
	recent := s.events[s.told:]
	if s.whole > littleState && len(recent) < s.whole/recentPart && !s.build.State().Final() {
		s.put(git.TreeEntry{Name: recentFile, Mode: git.ModeFile, Hash: objects.Blob(slices.Clip(recent))})
		return nil
	}
	state, err := encodeBuild(s.build)
	if err != nil {
		return err
	}
	s.put(git.TreeEntry{Name: buildFile, Mode: git.ModeFile, Hash: objects.Blob(state)})
	s.put(git.TreeEntry{Name: eventsFile, Mode: git.ModeFile, Hash: objects.Blob(slices.Clip(s.events))})
	s.entries = slices.DeleteFunc(s.entries, func(e git.TreeEntry) bool { return e.Name == recentFile })
	s.told, s.whole = len(s.events), len(state)+len(s.events)
	return nil
}

// events reads the moves of a build as they are stored, and how many bytes of
// them are in its eventsFile.
func (s *Store) events(tree git.Hash) (events []byte, told int, err error) {
	if events, err = s.repo.ReadFile(tree, eventsFile, maxRecord); err != nil {
		return nil, 0, err
	}
	recent, err := s.recent(tree)
	return append(events, recent...), len(events), err
}

// recent is the content of a build's recentFile, nil if there is none.
func (s *Store) recent(tree git.Hash) ([]byte, error) {
	data, err := s.repo.ReadFile(tree, recentFile, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// catchUp applies to b, read from its buildFile, the moves that came after.
func (s *Store) catchUp(b *build.Build, tree git.Hash) error {
	recent, err := s.recent(tree)
	if err != nil || recent == nil {
		return err
	}
	moves, err := decodeMovesFrom(recentFile, recent, b.Seq+1)
	if err != nil {
		return err
	}
	for _, m := range moves {
		if _, err := b.Apply(m); err != nil {
			return fmt.Errorf("%s: %w", recentFile, err)
		}
	}
	return nil
}
