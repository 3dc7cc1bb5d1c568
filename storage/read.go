package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// Limits of what is read back, far above what is ever written.
const (
	maxRecord = 256 << 20 // bytes of one build.json, events.jsonl or plan.json
	maxLog    = 4 << 30   // bytes of one log, all its steps
)

const (
	planFile   = "plan.json"
	logsFolder = "logs" // in a live build's tree
)

// locate is the tree of a build. A fold first fills the archive and then drops
// the live ref, so in this order no build is missed.
func (s *Store) locate(id build.ID) (git.Hash, error) {
	tree, err := s.tree(liveRef(id))
	if !errors.Is(err, git.ErrRefNotFound) {
		return tree, err
	}
	return s.placed(archiveBlockOf(id), id)
}

// tree is the tree of a ref's commit.
func (s *Store) tree(ref string) (git.Hash, error) {
	h, err := s.repo.Ref(ref)
	if err != nil {
		return git.Zero, err
	}
	c, err := s.repo.Commit(h)
	return c.Tree, err
}

// placed is the build's folder in a block of its store, or ErrNoBuild.
func (s *Store) placed(block string, id build.ID) (git.Hash, error) {
	head, err := s.block(id.Store, block)
	if errors.Is(err, git.ErrRefNotFound) {
		return git.Zero, fmt.Errorf("%s: %w", id, ErrNoBuild)
	}
	if err != nil {
		return git.Zero, err
	}
	entry, err := s.repo.Entry(head, place(id))
	if errors.Is(err, fs.ErrNotExist) {
		return git.Zero, fmt.Errorf("%s: %w", id, ErrNoBuild)
	}
	return entry.Hash, err
}

// Build reads a build and its moves, finished or not, or fails with ErrNoBuild.
func (s *Store) Build(_ context.Context, id build.ID) (*build.Build, []build.Move, error) {
	tree, err := s.locate(id)
	if err != nil {
		return nil, nil, fmt.Errorf("read build %s: %w", id, err)
	}
	b, err := s.build(id, tree)
	if err != nil {
		return nil, nil, fmt.Errorf("read build %s: %w", id, err)
	}
	moves, err := s.moves(tree)
	if err != nil {
		return nil, nil, fmt.Errorf("read build %s: %w", id, err)
	}
	return b, moves, nil
}

func (s *Store) build(id build.ID, tree git.Hash) (*build.Build, error) {
	b, known := s.decoded.get(tree)
	if !known {
		data, err := s.repo.ReadFile(tree, buildFile, maxRecord)
		if err != nil {
			return nil, err
		}
		if b, err = decodeBuild(data); err != nil {
			return nil, err
		}
		if err := s.catchUp(b, tree); err != nil {
			return nil, err
		}
		s.decoded.put(tree, b, len(data))
	}
	if b.ID != id {
		return nil, fmt.Errorf("%s of %s is about %s", buildFile, id, b.ID)
	}
	return b, nil
}

func (s *Store) moves(tree git.Hash) ([]build.Move, error) {
	events, _, err := s.events(tree)
	if err != nil {
		return nil, err
	}
	return decodeMoves(events)
}

// Plan reads the plan of a build; nil if none could be drawn.
func (s *Store) Plan(_ context.Context, id build.ID) (*plan.Plan, error) {
	tree, err := s.locate(id)
	if err != nil {
		return nil, fmt.Errorf("read plan of %s: %w", id, err)
	}
	p, err := s.plan(tree)
	if err != nil {
		return nil, fmt.Errorf("read plan of %s: %w", id, err)
	}
	return p, nil
}

func (s *Store) plan(tree git.Hash) (*plan.Plan, error) {
	data, err := s.repo.ReadFile(tree, planFile, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return plan.Decode(data)
}

// Log reads the log of an attempt that ended, and a time for each of its lines
// as the builder gave them (nil if it gave none), or fails with ErrNoLog.
func (s *Store) Log(_ context.Context, id build.ID, task string, attempt int) (text, times []byte, err error) {
	if _, _, err := plan.ParseKey(task); err != nil {
		return nil, nil, err
	}
	folder, err := s.locateLogs(id)
	if err != nil {
		return nil, nil, fmt.Errorf("read log of %s: %w", id, err)
	}
	text, err = s.joined(folder, logName(task, attempt))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s, task %s, attempt %d: %w", id, task, attempt, ErrNoLog)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read log of %s: %w", id, err)
	}
	times, err = s.joined(folder, timesName(task, attempt))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read log of %s: %w", id, err)
	}
	return text, times, nil
}

// locateLogs is the folder of a build's logs: beside its state while it is live,
// in a block of logs later.
func (s *Store) locateLogs(id build.ID) (git.Hash, error) {
	tree, err := s.tree(liveRef(id))
	switch {
	case err == nil:
		entry, err := s.repo.Entry(tree, logsFolder)
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrNoLog
		}
		return entry.Hash, err
	case !errors.Is(err, git.ErrRefNotFound):
		return git.Zero, err
	}
	folder, err := s.placed(logsBlockOf(id), id)
	if errors.Is(err, ErrNoBuild) {
		err = ErrNoLog
	}
	return folder, err
}

func logName(task string, attempt int) string   { return fmt.Sprintf("%s.%d.txt", task, attempt) }
func timesName(task string, attempt int) string { return fmt.Sprintf("%s.%d.times", task, attempt) }

// Live lists the own store's builds that are not in the archive, oldest first.
func (s *Store) Live(context.Context) ([]Loaded, error) {
	id, err := s.ID()
	if err != nil || id == "" {
		return nil, err
	}
	refs, err := s.live(id)
	if err != nil {
		return nil, fmt.Errorf("list live builds: %w", err)
	}
	var loaded []Loaded
	for _, ref := range refs {
		b, err := s.build(ref.id, ref.tree)
		if err != nil {
			return nil, fmt.Errorf("read build %s: %w", ref.id, err)
		}
		p, err := s.plan(ref.tree)
		if err != nil {
			return nil, fmt.Errorf("read plan of %s: %w", ref.id, err)
		}
		loaded = append(loaded, Loaded{Build: b, Plan: p})
	}
	return loaded, nil
}

// A stand is where a build's tree was found.
type stand struct {
	id   build.ID
	tree git.Hash
}

// live lists a store's live builds by number. A ref whose name is no number is
// not ours.
func (s *Store) live(store string) ([]stand, error) {
	refs, _, err := s.repo.Refs(storeRef(store, "live/"))
	if err != nil {
		return nil, err
	}
	var found []stand
	for _, ref := range refs {
		n, ok := parseDigits(lastOf(ref.Name))
		if !ok {
			continue
		}
		c, err := s.repo.Commit(ref.Hash)
		if err != nil {
			return nil, err
		}
		found = append(found, stand{id: build.ID{Store: store, Number: n}, tree: c.Tree})
	}
	return found, nil
}

// Tips are the refs with the commit last dealt with. known is false if none was
// ever recorded.
func (s *Store) Tips(context.Context) (tips map[string]plan.Commit, known bool, err error) {
	id, err := s.ID()
	if err != nil || id == "" {
		return nil, false, err
	}
	tips, _, err = s.tips(id)
	if err != nil {
		return nil, false, fmt.Errorf("read desk: %w", err)
	}
	return tips, tips != nil, nil
}

// tips reads the desk, which is the commit desk; both are zero if there is none.
func (s *Store) tips(store string) (tips map[string]plan.Commit, desk git.Hash, err error) {
	desk, err = s.repo.Ref(storeRef(store, "desk"))
	if errors.Is(err, git.ErrRefNotFound) {
		return nil, git.Zero, nil
	}
	if err != nil {
		return nil, git.Zero, err
	}
	data, err := s.repo.ReadFile(desk, tipsFile, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, desk, nil
	}
	if err != nil {
		return nil, git.Zero, err
	}
	tips, err = decodeTips(data)
	return tips, desk, err
}
