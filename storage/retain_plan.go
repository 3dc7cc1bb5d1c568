package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// A retentionPlan is what shall go.
type retentionPlan struct {
	s       *Store
	keep    Retention
	now     time.Time
	heads   map[string]git.Hash   // of the blocks of the archive, before they were read
	blocks  []git.Ref             // of the archive
	logs    map[string][]build.ID // by their block
	dropped Dropped
}

// planRetention looks at no more than it takes: names tell counts, sizes are read
// from the newest build on until they are beyond the bound, and ages from the
// oldest on until a hundred builds in a row are young.
func (s *Store) planRetention(ctx context.Context, store string, keep Retention) (*retentionPlan, error) {
	p := &retentionPlan{s: s, keep: keep, now: s.now(), heads: map[string]git.Hash{}, logs: map[string][]build.ID{}}
	if keep.Builds.forever() && keep.Logs.forever() {
		return p, nil
	}
	refs, _, err := s.repo.Refs(storeRef(store, "archive/"))
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		p.heads[ref.Name] = ref.Hash
	}
	archived, err := collected(s.archived(ctx, store, 1<<63-1, s.search(Query{})))
	if err != nil {
		return nil, err
	}
	if err := p.planBlocks(ctx, store, archived); err != nil {
		return nil, err
	}
	logs, err := s.logsOf(store)
	if err != nil {
		return nil, err
	}
	beyond, err := p.beyondLogs(ctx, archived, logs)
	if err != nil {
		return nil, err
	}
	for _, at := range logs {
		if p.inDropped(at.id) {
			beyond[at.id.Number] = true
		} else if beyond[at.id.Number] {
			p.logs[logsRef(at.id)] = append(p.logs[logsRef(at.id)], at.id)
		}
		if err := p.countLogs(at, beyond); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *retentionPlan) countLogs(at stand, beyond map[int64]bool) error {
	if !beyond[at.id.Number] {
		return nil
	}
	files, bytes, err := p.s.sizes(at.tree)
	p.dropped.LogsOf++
	p.dropped.Files += files
	p.dropped.Bytes += bytes
	return err
}

// collected turns a walk into a list.
func collected(walk func(func(stand, error) bool)) (all []stand, err error) {
	for at, err := range walk {
		if err != nil {
			return nil, err
		}
		all = append(all, at)
	}
	return all, nil
}

// logsOf lists the folders of logs of a store, newest build first.
func (s *Store) logsOf(store string) ([]stand, error) {
	refs, _, err := s.repo.Refs(storeRef(store, "logs/"))
	if err != nil {
		return nil, err
	}
	var all []stand
	for _, ref := range slices.Backward(refs) {
		found, err := collected(s.inBlock(store, ref.Hash))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", ref.Name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// sizes counts the files in a folder and their bytes.
func (s *Store) sizes(folder git.Hash) (files int, bytes int64, err error) {
	entries, err := s.repo.List(folder, "")
	if err != nil {
		return 0, 0, err
	}
	for _, entry := range entries {
		n, err := s.repo.BlobSize(entry.Hash)
		if err != nil {
			return 0, 0, err
		}
		bytes += n
	}
	return len(entries), bytes, nil
}

// planBlocks finds the blocks of the archive that go as a whole.
func (p *retentionPlan) planBlocks(ctx context.Context, store string, archived []stand) error {
	bound := p.keep.Builds
	if bound.forever() {
		return nil
	}
	live, err := p.s.live(store)
	if err != nil {
		return err
	}
	busy := map[string]bool{}
	for _, at := range live {
		busy[archiveRef(at.id)] = true
	}
	newer, bytes := 0, int64(0) // in the blocks passed so far
	for len(archived) > 0 {
		block := firstBlock(archived)
		archived = archived[len(block):]
		ref := archiveRef(block[0].id)
		beyond := bound.Count > 0 && newer >= bound.Count || bound.Bytes > 0 && bytes >= bound.Bytes
		if newer > 0 && !busy[ref] && (beyond || p.allOld(ctx, block)) {
			p.blocks = append(p.blocks, git.Ref{Name: ref, Hash: p.heads[ref]})
			p.dropped.Builds += len(block)
		}
		newer += len(block)
		if bytes, err = p.addSizes(ctx, bytes, block); err != nil {
			return err
		}
	}
	return nil
}

// firstBlock is the beginning of a list that lies in one block of the archive.
func firstBlock(archived []stand) []stand {
	ref := archiveRef(archived[0].id)
	for i, at := range archived {
		if archiveRef(at.id) != ref {
			return archived[:i]
		}
	}
	return archived
}

// addSizes adds what builds take, if that counts, until it is enough.
func (p *retentionPlan) addSizes(ctx context.Context, bytes int64, block []stand) (int64, error) {
	bound := p.keep.Builds.Bytes
	for _, at := range block {
		if bound == 0 || bytes >= bound {
			break
		}
		_, n, err := p.s.sizes(at.tree)
		if err != nil {
			return bytes, fmt.Errorf("size of build %s: %w", at.id, err)
		}
		bytes += n
	}
	return bytes, ctx.Err()
}

// allOld reports whether all builds of a block, newest first, are too old.
func (p *retentionPlan) allOld(ctx context.Context, block []stand) bool {
	for _, at := range block {
		if !p.old(ctx, at, p.keep.Builds.Age) {
			return false
		}
	}
	return len(block) > 0
}

// old reports whether a build finished longer ago than age. Of one that cannot
// be read nobody knows: it is noted, and stays.
func (p *retentionPlan) old(ctx context.Context, at stand, age time.Duration) bool {
	if age == 0 || ctx.Err() != nil {
		return false
	}
	b, err := p.s.build(at.id, at.tree)
	if err != nil {
		text := fmt.Sprintf("build %s: %v", at.id, err)
		if !slices.Contains(p.dropped.Unreadable, text) {
			p.dropped.Unreadable = append(p.dropped.Unreadable, text)
		}
		return false
	}
	return p.now.Sub(b.Finished) > age
}

func (p *retentionPlan) inDropped(id build.ID) bool {
	ref := archiveRef(id)
	return slices.ContainsFunc(p.blocks, func(block git.Ref) bool { return block.Name == ref })
}

// beyondLogs picks the builds, by number, whose logs are beyond the bound; logs
// come newest first.
func (p *retentionPlan) beyondLogs(ctx context.Context, archived, logs []stand) (map[int64]bool, error) {
	bound := p.keep.Logs
	beyond := map[int64]bool{}
	oldest := int64(0) // the lowest number within the count
	if bound.Count > 0 && bound.Count < len(archived) {
		oldest = archived[bound.Count-1].id.Number
	}
	sum := int64(0)
	for _, at := range logs {
		if bound.Bytes > 0 && sum <= bound.Bytes {
			_, n, err := p.s.sizes(at.tree)
			if err != nil {
				return nil, fmt.Errorf("size of the logs of build %s: %w", at.id, err)
			}
			sum += n
		}
		if at.id.Number < oldest || bound.Bytes > 0 && sum > bound.Bytes {
			beyond[at.id.Number] = true
		}
	}
	if bound.Age > 0 {
		p.addOld(ctx, archived, logs, beyond)
	}
	return beyond, ctx.Err()
}

// youngInARow is how many builds within the age end the search for older ones.
// Builds finish nearly in the order of their numbers; one that hides behind so
// many that took longer is found a round later.
const youngInARow = 100

// addOld adds the builds whose logs are too old, looking from the oldest on.
func (p *retentionPlan) addOld(ctx context.Context, archived, logs []stand, beyond map[int64]bool) {
	young := 0
	for _, at := range slices.Backward(logs) {
		if beyond[at.id.Number] || p.inDropped(at.id) {
			continue
		}
		i, found := slices.BinarySearchFunc(archived, at.id.Number, func(a stand, n int64) int { return int(n - a.id.Number) })
		if found && p.old(ctx, archived[i], p.keep.Logs.Age) {
			beyond[at.id.Number] = true
			young = 0
		} else if young++; young == youngInARow {
			return
		}
	}
}
