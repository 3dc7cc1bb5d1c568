package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// upkeepLock lets one upkeep run at a time.
const upkeepLock = "upkeep.lock"

// Upkeep merges our own packs once there are keepBelow or more of them (32 is
// what reading stands well), and no others: the rest of the repository is git's
// and its owner's. Small packs are merged as they are. Once all together would
// be rewritten, which is when they have doubled, objects that nothing reaches any
// more, such as the moves of deleted live refs, are dropped.
//
// Nothing is dropped that a ref, a reflog, an index or a write in progress needs,
// here or in another process. When another upkeep or git's gc is at work already,
// or the repository forbids deletions (extensions.preciousObjects), Upkeep does
// nothing; git begins no gc before it has ended.
func (r *Repository) Upkeep(ctx context.Context, keepBelow int) error {
	if r.format.precious {
		return nil
	}
	unlock, err := r.flock(upkeepLock, syscall.LOCK_EX)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("upkeep: %w", err)
	}
	defer unlock()
	own, err := r.ownPacks()
	if err != nil {
		return fmt.Errorf("upkeep: %w", err)
	}
	if len(own) < max(keepBelow, 2) {
		return nil
	}
	unmark, busy, err := r.markGC()
	if busy || err != nil {
		return wrap("upkeep", err)
	}
	r.Reindex() // what is walked must be there for git; no gc takes one meanwhile
	merged := growing(own)
	if len(merged) == len(own) && !r.format.partial {
		err = r.collect(ctx, own)
	} else {
		err = r.merge(ctx, merged)
	}
	return wrap("upkeep", errors.Join(err, unmark()))
}

// wrap names what failed; nil stays nil.
func wrap(verb string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

// ownPack is a pack that Write or Upkeep made.
type ownPack struct {
	pack
	size int64
	// used tells that git met an object of the pack when it was about to write the
	// same one, and left it at that: something unknown to us may count on it.
	used bool
}

func (r *Repository) packFolder() string {
	return filepath.Join(r.commonDir, "objects", "pack")
}

// ownPacks lists our packs, smallest first.
func (r *Repository) ownPacks() ([]*ownPack, error) {
	paths, err := packsIn(r.packFolder())
	if err != nil {
		return nil, err
	}
	var own []*ownPack
	for _, path := range paths {
		if !isOurs(path + ".keep") {
			continue
		}
		p := &ownPack{pack: pack{path: path}}
		if err := p.stat(); err != nil {
			return nil, err
		}
		own = append(own, p)
	}
	slices.SortFunc(own, func(a, b *ownPack) int { return int(min(max(a.size-b.size, -1), 1)) })
	return own, nil
}

// stat reads size and use; see publish for the times.
func (p *ownPack) stat() error {
	info, err := os.Stat(p.path + ".pack")
	if err != nil {
		return err
	}
	keep, err := os.Stat(p.path + ".keep")
	if err != nil {
		return err
	}
	p.size, p.used = info.Size(), !info.ModTime().Equal(keep.ModTime())
	return nil
}

// growing returns the smallest packs, so many that each of the others is at least
// twice as big as all smaller ones together. A pack is thus rewritten only when
// as much has come after it, and the number of packs grows with the logarithm of
// what they hold.
func growing(packs []*ownPack) []*ownPack {
	below, n := int64(0), 0
	for i, p := range packs {
		if i > 0 && p.size < 2*below {
			n = i + 1
		}
		below += p.size
	}
	if n == 0 {
		return packs
	}
	return packs[:n]
}

// merge replaces packs by one with the same objects. Nothing is lost at any
// moment, so writers need not wait until the old packs go.
func (r *Repository) merge(ctx context.Context, old []*ownPack) error {
	all, err := objectsOf(old)
	if err != nil {
		return err
	}
	merged, err := r.repack(ctx, all)
	if err != nil {
		return err
	}
	unlock, err := r.lockPacks(ctx, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	return r.replacePacks(old, merged)
}

// collect replaces packs by one with those objects that something reaches. The
// long walk runs beside writers; what they make reachable meanwhile is found by
// a second, short one while they wait.
func (r *Repository) collect(ctx context.Context, old []*ownPack) error {
	refs, _, err := r.Refs("refs/")
	if err != nil {
		return err
	}
	return r.collectKnowing(ctx, old, refs)
}

// collectKnowing is collect with the refs as they were some time before.
//
// The second walk leaves out what refs lead to, but only those that the first one
// met. A build that is folded while git reads the refs is neither live nor archived
// to it; that its live ref was there before says nothing about what was walked.
func (r *Repository) collectKnowing(ctx context.Context, old []*ownPack, refs []Ref) error {
	all, err := objectsOf(old)
	if err != nil {
		return err
	}
	reached, met, err := r.reachable(ctx, all, refs, nil)
	if err != nil {
		return err
	}
	kept, err := r.repack(ctx, reached)
	if err != nil {
		return err
	}
	if err := r.renewGraph(ctx); err != nil {
		return err
	}
	unlock, err := r.lockPacks(ctx, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	since, _, err := r.reachable(ctx, all, nil, met)
	if err != nil {
		return err
	}
	if err := addUsed(since, old); err != nil {
		return err
	}
	for h := range reached {
		delete(since, h)
	}
	late, err := r.repack(ctx, since)
	if err != nil {
		return err
	}
	if len(reached)+len(since) < len(all) {
		if err := r.forgetCaches(); err != nil {
			return err
		}
	}
	if err := r.replacePacks(old, kept, late); err != nil {
		return err
	}
	return r.sweep()
}

// objectsOf returns the objects of some packs.
func objectsOf(packs []*ownPack) (map[Hash]bool, error) {
	objects := make(map[Hash]bool)
	for _, p := range packs {
		if err := p.names(func(h Hash) { objects[h] = true }); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// addUsed adds the objects of packs that git has used since they were written.
func addUsed(objects map[Hash]bool, packs []*ownPack) error {
	for _, p := range packs {
		if err := p.stat(); err != nil {
			return err
		}
		if !p.used {
			continue
		}
		if err := p.names(func(h Hash) { objects[h] = true }); err != nil {
			return err
		}
	}
	return nil
}

// reachable returns which of the objects anything in the repository leads to,
// leaving out what is known to be reachable from the refs in known, and which of
// the refs in asked it met on its way.
func (r *Repository) reachable(ctx context.Context, objects map[Hash]bool, asked, known []Ref) (found map[Hash]bool, met []Ref, err error) {
	args := []string{"rev-list", "--objects", "--no-object-names", "--all", "--reflog", "--indexed-objects"}
	var stdin bytes.Buffer
	if len(known) > 0 {
		args = append(args, "--ignore-missing", "--stdin")
		for _, ref := range known {
			fmt.Fprintf(&stdin, "^%s\n", ref.Hash)
		}
	}
	found = make(map[Hash]bool)
	seen := make(map[Hash]bool, len(asked))
	for _, ref := range asked {
		seen[ref.Hash] = false
	}
	filter := &lineFeed{line: func(line []byte) {
		h, err := ParseHash(string(line))
		if err != nil {
			return
		}
		if objects[h] {
			found[h] = true
		}
		if _, wanted := seen[h]; wanted {
			seen[h] = true
		}
	}}
	if _, err := r.run(ctx, command{options: []string{plainHistory}, args: args, stdin: &stdin, stdout: filter}); err != nil {
		return nil, nil, err
	}
	for _, ref := range asked {
		if seen[ref.Hash] {
			met = append(met, ref)
		}
	}
	return found, met, nil
}

// plainHistory makes git walk what is there and not what refs/replace shows
// instead.
const plainHistory = "core.useReplaceRefs=false"

// lineFeed hands what is written to it on by lines, without their ends.
type lineFeed struct {
	line func([]byte)
	rest []byte
}

func (f *lineFeed) Write(p []byte) (int, error) {
	data := append(f.rest, p...)
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		if !complete {
			f.rest = bytes.Clone(line)
			return len(p), nil
		}
		f.line(line)
		data = rest
	}
}
