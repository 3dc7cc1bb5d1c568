package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// ErrUnfinished means that a build has to end, and to be in the archive, first.
var ErrUnfinished = errors.New("the build is not finished")

// Purged tells what a purge did and what it could not reach.
type Purged struct {
	git.Erased
	// Shared are log files whose bytes are still in the repository, because
	// something else holds the same.
	Shared []string
	// Copies are refs with what was fetched from elsewhere that hold the build.
	Copies []string
}

// FindToPurge is the build that a person means by text, as Find, or the id or
// number of one of which remnants may be left.
func (s *Store) FindToPurge(ctx context.Context, text string) (build.ID, error) {
	id, err := s.Find(ctx, text)
	if !errors.Is(err, ErrNoBuild) {
		return id, err
	}
	if id, err := build.ParseID(text); err == nil {
		return id, nil
	}
	own, idErr := s.ID()
	n, parseErr := strconv.ParseInt(text, 10, 64)
	if idErr != nil || own == "" || parseErr != nil || n < 1 {
		return build.ID{}, err
	}
	return build.ID{Store: own, Number: n}, nil
}

// Purge removes a finished build for good: its record, its logs, its line in the
// notes, what was quarantined of it, and every object that only these led to. The
// block of the archive that held it, its block of logs and the notes begin a new
// history, since the old one holds it. The desk remembers that it was purged.
//
// A purge that was interrupted is completed by the next one of the same build.
// It fails with ErrNoBuild if nothing of the build is here, and with
// ErrUnfinished. Changes to builds wait for it, as long as git takes to walk the
// repository.
func (l *Ledger) Purge(ctx context.Context, id build.ID) (done Purged, err error) {
	err = l.between(func() error {
		var err error
		for range foldTries {
			p := &purge{l: l, id: id, objects: l.repo.NewBatch()}
			if done, err = p.do(ctx); !racedForNotes(err) {
				break
			}
		}
		return explain(err)
	})
	if err == nil {
		err = l.Collect(ctx) // of what unfinished work left, such as the settled trigger
	}
	if err == nil {
		done.Copies, err = l.copies(id)
	}
	if err != nil {
		return done, fmt.Errorf("purge build %s: %w", id, err)
	}
	return done, nil
}

// Collect drops what nothing reaches any more from our packs. It does nothing
// while something is set aside that could not be read.
func (l *Ledger) Collect(ctx context.Context) error {
	if l.damaged {
		return nil
	}
	return l.repo.Collect(ctx)
}

// A purge is one try to remove a build.
type purge struct {
	l       *Ledger
	id      build.ID
	objects *git.Batch
	updates []git.RefUpdate
	logs    []git.TreeEntry
}

func (p *purge) do(ctx context.Context) (done Purged, err error) {
	_, err = p.l.repo.Ref(liveRef(p.id))
	if err == nil {
		return done, ErrUnfinished
	}
	if !errors.Is(err, git.ErrRefNotFound) {
		return done, err
	}
	desk, err := p.plan()
	if err != nil {
		return done, err
	}
	p.l.written++
	done.Erased, err = p.l.repo.Erase(ctx, git.Erasure{Batch: p.objects, Updates: p.updates, Also: p.left})
	if h, refErr := p.l.repo.Ref(storeRef(p.l.store, "desk")); refErr == nil && h == desk {
		p.l.desk = desk // also if it was interrupted later
	}
	if err != nil {
		return done, err
	}
	done.Shared, err = p.shared()
	return done, err
}

// plan lists the refs to be moved. The desk comes first: from then on the build
// counts as purged, whatever happens.
func (p *purge) plan() (desk git.Hash, err error) {
	purged, err := p.l.purged(p.l.store)
	if err != nil {
		return git.Zero, err
	}
	_, before := purged[p.id]
	if err := errors.Join(p.block(logsRef(p.id)), p.block(archiveRef(p.id)), p.notes(before), p.quarantine()); err != nil {
		return git.Zero, err
	}
	if before {
		return p.l.desk, nil
	}
	if len(p.updates) == 0 {
		return git.Zero, ErrNoBuild
	}
	desk, err = p.l.rememberPurged(p.objects, purged, p.id)
	first := git.RefUpdate{Name: storeRef(p.l.store, "desk"), Old: p.l.desk, New: desk}
	p.updates = append([]git.RefUpdate{first}, p.updates...)
	return desk, err
}

// block takes the build out of a block, which loses its history.
func (p *purge) block(ref string) error {
	head, err := p.l.repo.Ref(ref)
	if errors.Is(err, git.ErrRefNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	entry, err := p.l.repo.Entry(head, place(p.id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if ref == logsRef(p.id) {
		if p.logs, err = p.l.repo.List(entry.Hash, ""); err != nil {
			return err
		}
	}
	next, err := p.l.blockWithout(p.objects, head, []build.ID{p.id}, "purge build "+p.id.String())
	p.updates = append(p.updates, git.RefUpdate{Name: ref, Old: head, New: next})
	return err
}

// blockWithout is a block's commit, without parents, less some builds; Zero if
// none is left.
func (l *Ledger) blockWithout(objects *git.Batch, head git.Hash, ids []build.ID, message string) (git.Hash, error) {
	c, err := l.repo.Commit(head)
	if err != nil {
		return git.Zero, err
	}
	edits := make([]git.TreeEdit, len(ids))
	for i, id := range ids {
		edits[i] = git.TreeEdit{Path: place(id)}
	}
	tree, err := objects.EditTree(c.Tree, edits)
	if err != nil {
		return git.Zero, err
	}
	if none, err := objects.Tree(nil); err != nil || tree == none {
		return git.Zero, err
	}
	return objects.Commit(l.commit(tree, fmt.Sprintf("%s\n\nVelocity-Writer: %s\n", message, oneLine(l.writer)))), nil
}

// notes drops the build's line, wherever it stands, and the history, which may
// hold it although the newest notes do not. Of a build that is not known to have
// been here only a line counts.
func (p *purge) notes(before bool) error {
	head, err := p.l.repo.Ref(NotesRef)
	if errors.Is(err, git.ErrRefNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	known, told := before || len(p.updates) > 0, false
	spec := p.l.commit(git.Zero, fmt.Sprintf("purge build %s\n\nVelocity-Writer: %s\n", p.id, oneLine(p.l.writer)))
	next, err := p.objects.DropNoteLines(head, func(line []byte) bool {
		is := isNoteOf(p.id, string(line))
		told = told || is
		return is
	}, spec)
	if err != nil {
		return err
	}
	if (known || told) && next != head {
		p.updates = append(p.updates, git.RefUpdate{Name: NotesRef, Old: head, New: next})
	}
	return nil
}

// isNoteOf also knows lines of other versions, and such that were changed by hand.
func isNoteOf(id build.ID, line string) bool {
	version, rest, _ := strings.Cut(line, " ")
	name, _, _ := strings.Cut(rest, " ")
	found, err := build.ParseID(name)
	return err == nil && found == id && strings.HasPrefix(version, "velocity/")
}

// quarantine drops what could not be read of the build.
func (p *purge) quarantine() error {
	ref := storeRef(p.id.Store, "quarantine/live-"+digits(p.id.Number))
	head, err := p.l.repo.Ref(ref)
	if errors.Is(err, git.ErrRefNotFound) {
		return nil
	}
	p.updates = append(p.updates, git.RefUpdate{Name: ref, Old: head})
	return err
}

// left picks commits of ours that nothing reaches and that hold the build: those
// of its live ref, of blocks it was in, and of notes that were overtaken.
func (p *purge) left(c git.Commit) bool {
	if c.Author.Email != ourAddress {
		return false
	}
	if strings.HasPrefix(c.Message, "build "+p.id.String()+":") || strings.HasPrefix(c.Message, "note build ") {
		return true
	}
	_, err := p.l.repo.Entry(c.Tree, place(p.id))
	return err == nil
}

// shared lists the log files that are still there, though none of ours leads to
// them. Times of lines are equal by chance and tell nothing.
func (p *purge) shared() (names []string, err error) {
	for _, entry := range p.logs {
		if strings.Contains(entry.Name, ".times") {
			continue
		}
		size, err := p.l.repo.BlobSize(entry.Hash)
		if errors.Is(err, git.ErrObjectNotFound) || err == nil && size == 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		names = append(names, entry.Name)
	}
	return names, nil
}

// copies lists the fetched refs that hold the build.
func (l *Ledger) copies(id build.ID) (found []string, err error) {
	refs, _, err := l.repo.Refs(RefPrefix + "remotes/")
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		holds, err := l.holds(ref, id)
		if err != nil {
			return nil, fmt.Errorf("look into %s: %w", ref.Name, err)
		}
		if holds {
			found = append(found, ref.Name)
		}
	}
	return found, nil
}

// holds reports whether a fetched archive, block of logs or notes has the build.
func (l *Ledger) holds(ref git.Ref, id build.ID) (bool, error) {
	if ours := "/" + id.Store + "/"; strings.Contains(ref.Name, ours+"archive/") || strings.Contains(ref.Name, ours+"logs/") {
		_, err := l.repo.Entry(ref.Hash, place(id))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	if !strings.Contains(ref.Name, "notes") {
		return false, nil
	}
	told := false
	_, err := l.repo.NewBatch().DropNoteLines(ref.Hash, func(line []byte) bool {
		told = told || isNoteOf(id, string(line))
		return false
	}, git.CommitSpec{})
	return told, err
}
