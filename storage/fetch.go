package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// Bounds of what is taken from one remote, which may not mean well.
const (
	maxFetchedStores = 1000
	maxFetchedBlocks = 20_000
)

// A layout is where a remote keeps what was published to it.
type layout struct{ stores, notes string }

var (
	// plainLayout is that of a store in place.
	plainLayout = layout{stores: RefPrefix, notes: NotesRef}
	// branchLayout is for remotes that take nothing but branches.
	branchLayout = layout{stores: "refs/heads/velocity/", notes: "refs/heads/velocity/notes"}
)

// Fetched is what a fetch has done.
type Fetched struct {
	Stores  int  // that the remote has, beside ours
	Blocks  int  // of archives and logs, that were new or changed
	Pruned  int  // blocks that the remote has no more
	Notes   bool // refs/notes/velocity has changed
	Dropped int  // lines of notes that claim to be of our own store, and are not
	Left    int  // blocks that were left there, beyond what is taken from one remote
}

// Fetch brings the archives of all stores at a remote to refs/velocity/remotes,
// their logs, too, if logs is set, and merges the remote's notes into ours. What
// the remote has no more goes from the copies. Refs of the own store are neither
// taken nor touched; without one, none is made.
func (s *Store) Fetch(ctx context.Context, remote *git.Remote, logs bool) (Fetched, error) {
	listed, err := remote.List(ctx, plainLayout.stores, plainLayout.notes, branchLayout.stores)
	if err != nil {
		return Fetched{}, err
	}
	f := &fetch{s: s, remote: remote, logs: logs}
	if err := f.plan(listed); err != nil {
		return f.done, fmt.Errorf("fetch from %s: %w", remote, err)
	}
	if len(f.copies) > 0 {
		if err := remote.Fetch(ctx, f.copies); err != nil {
			return f.done, err
		}
	}
	if err := f.prune(ctx); err != nil {
		return f.done, fmt.Errorf("forget what %s has no more: %w", remote, err)
	}
	for _, ref := range f.notes {
		changed, dropped, err := s.mergeNotes(ctx, remote, ref, false)
		f.done.Notes = f.done.Notes || changed
		f.done.Dropped += dropped
		if err != nil {
			return f.done, err
		}
	}
	return f.done, nil
}

// A fetch is one run of Fetch.
type fetch struct {
	s      *Store
	remote *git.Remote
	logs   bool

	there  map[string]bool // our names of what the remote has
	stores map[string]bool
	copies []git.Copy
	gone   []git.RefUpdate
	notes  []string // our copies of the remote's notes
	done   Fetched
}

// plan compares what a remote has with our copies.
func (f *fetch) plan(listed []git.Ref) error {
	own, err := f.s.ID()
	if err != nil {
		return err
	}
	prefix := remotesPrefix + f.remote.Key() + "/"
	held, _, err := f.s.repo.Refs(prefix)
	if err != nil {
		return err
	}
	values := map[string]git.Hash{}
	for _, ref := range held {
		values[ref.Name] = ref.Hash
	}
	f.there, f.stores = map[string]bool{}, map[string]bool{}
	for _, at := range f.layouts(listed) {
		for _, ref := range listed {
			to, block := f.place(at, ref.Name)
			if to == "" || f.there[to] || !f.takes(block, own) {
				continue
			}
			f.there[to] = true
			f.want(ref, to, values[to])
		}
	}
	f.done.Stores = len(f.stores)
	for _, ref := range held {
		if _, isBlock := parseFetched(ref.Name); !f.there[ref.Name] && (isBlock || strings.HasSuffix(ref.Name, "/notes")) {
			f.gone = append(f.gone, git.RefUpdate{Name: ref.Name, Old: ref.Hash})
		}
	}
	return nil
}

// layouts are those to be read at a remote. Where stores are in place, as on every
// server, branches are only what somebody pushed: they say nothing of builds.
func (f *fetch) layouts(listed []git.Ref) []layout {
	for _, ref := range listed {
		if _, block := f.place(plainLayout, ref.Name); block.store != "" {
			return []layout{plainLayout}
		}
	}
	return []layout{plainLayout, branchLayout}
}

// takes reports whether a block is fetched; notes, which are of no store, are. A
// store of ours is not, nor what is beyond the bounds.
func (f *fetch) takes(block fetched, own string) bool {
	switch {
	case block.store == "":
		return true
	case block.store == own:
		return false
	case len(f.there) >= maxFetchedBlocks, !f.stores[block.store] && len(f.stores) >= maxFetchedStores:
		f.done.Left++
		return false
	}
	f.stores[block.store] = true
	return true
}

// place is where a remote's ref goes: a block of a store, or notes. It is "" for
// one that is not taken.
func (f *fetch) place(at layout, name string) (to string, block fetched) {
	if name == at.notes {
		return notesCopy(f.remote, at), fetched{}
	}
	rest, ok := strings.CutPrefix(name, at.stores)
	if !ok {
		return "", fetched{}
	}
	block.remote = f.remote.Key()
	block.store, block.block, _ = strings.Cut(rest, "/")
	if !build.ValidStore(block.store) || !validBlock(block.block) {
		return "", fetched{}
	}
	return block.String(), block
}

// notesCopy is our copy of a remote's notes. The two layouts have one each: a
// remote may have been published to in both ways.
func notesCopy(remote *git.Remote, at layout) string {
	if at == branchLayout {
		return remotesPrefix + remote.Key() + "/branches/notes"
	}
	return remotesPrefix + remote.Key() + "/notes"
}

// want fetches a ref unless we have it.
func (f *fetch) want(ref git.Ref, to string, have git.Hash) {
	block, isBlock := parseFetched(to)
	if !isBlock {
		f.notes = append(f.notes, to)
	}
	if have == ref.Hash || strings.HasPrefix(block.block, logsRefFolder) && !f.logs {
		return
	}
	if isBlock {
		f.done.Blocks++
	}
	f.copies = append(f.copies, git.Copy{From: ref.Name, To: to})
}

// prune drops our copies of what is gone there.
func (f *fetch) prune(ctx context.Context) error {
	if len(f.gone) == 0 {
		return nil
	}
	if err := f.s.repo.Write(ctx, nil, f.gone); err != nil {
		return err
	}
	f.done.Pruned = len(f.gone)
	return nil
}

// mergeNotes merges a remote's notes, of which ref is our copy, into ours. forget
// takes their lines without their history. Others may write notes meanwhile: then
// it is done again from the start.
func (s *Store) mergeNotes(ctx context.Context, remote *git.Remote, ref string, forget bool) (changed bool, dropped int, err error) {
	for range foldTries {
		changed, dropped, err = s.tryMergeNotes(ctx, remote, ref, forget)
		if !errors.Is(err, git.ErrRefMoved) {
			break
		}
	}
	if err != nil {
		return false, dropped, fmt.Errorf("merge the notes of %s: %w", remote, err)
	}
	return changed, dropped, nil
}

func (s *Store) tryMergeNotes(ctx context.Context, remote *git.Remote, ref string, forget bool) (bool, int, error) {
	theirs, err := s.repo.Ref(ref)
	if err != nil {
		return false, 0, err
	}
	ours, err := s.repo.Ref(NotesRef)
	if err != nil && !errors.Is(err, git.ErrRefNotFound) {
		return false, 0, err
	}
	filter, err := s.noteFilter()
	if err != nil {
		return false, 0, err
	}
	merge := git.NotesMerge{
		Ours: ours, Theirs: theirs, Keep: filter.keep, Forget: forget,
		Spec: s.commit(git.Zero, fmt.Sprintf("merge notes of %s\n", oneLine(remote.String()))),
	}
	objects := s.repo.NewBatch()
	merged, dropped, err := objects.MergeNotes(ctx, merge)
	if err == nil && filter.metPurged && !forget { // their history would bring it back
		merge.Forget, objects = true, s.repo.NewBatch()
		merged, dropped, err = objects.MergeNotes(ctx, merge)
	}
	if err != nil || merged == ours {
		return false, dropped, err
	}
	return true, dropped, s.repo.Write(ctx, objects, []git.RefUpdate{{Name: NotesRef, Old: ours, New: merged}})
}

// A noteFilter tells which lines of others' notes may be taken: not those that
// claim to be of a build of our own store, unless it has that build and would
// write this very line. Without an own store all may.
type noteFilter struct {
	s         *Store
	own       string
	purged    map[build.ID]time.Time
	metPurged bool // a line of a build that was purged here came by
}

func (s *Store) noteFilter() (*noteFilter, error) {
	own, err := s.ID()
	if err != nil || own == "" {
		return &noteFilter{}, err
	}
	purged, err := s.purged(own)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", purgedFile, err)
	}
	return &noteFilter{s: s, own: own, purged: purged}, nil
}

func (f *noteFilter) keep(object git.Hash, line string) bool {
	words := strings.Fields(line)
	if f.own == "" || len(words) < 2 || !strings.HasPrefix(words[0], "velocity/") || !strings.HasPrefix(words[1], f.own+"-") {
		return true
	}
	if id, err := build.ParseID(words[1]); err == nil {
		if _, gone := f.purged[id]; gone {
			f.metPurged = true
			return false
		}
	}
	n, err := ParseNote(line)
	return err == nil && f.s.wrote(n, object, line)
}

// wrote reports whether the line is what our archive says of a build.
func (s *Store) wrote(n Note, object git.Hash, line string) bool {
	tree, err := s.placed(archiveBlockOf(n.ID), n.ID)
	if err != nil {
		return false
	}
	b, err := s.build(n.ID, tree)
	return err == nil && string(s.commitOf(b)) == object.String() && NoteOf(b).String() == line
}
