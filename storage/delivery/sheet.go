package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// A sheet is the deliveries as one commit has them, with changes that are not
// written yet. It is for one goroutine.
type sheet struct {
	repo       *git.Repository
	at         time.Time
	head, tree git.Hash // Zero if there is nothing yet
	batch      *git.Batch
	edits      []git.TreeEdit
	left       map[string]git.Hash        // by edits at their paths, Zero for nothing
	fresh      map[git.Hash][]byte        // what the batch brings
	folders    map[string]map[string]bool // names in folders, as edits left them
	last       map[string]uint64          // highest numbers in slots of what waits
}

func headOf(repo *git.Repository) (git.Hash, error) {
	head, err := repo.Ref(Ref)
	if errors.Is(err, git.ErrRefNotFound) {
		return git.Zero, nil
	}
	return head, err
}

// moved reports whether somebody has written since: then what the sheet leads to
// may be gone.
func (s *sheet) moved() bool {
	head, err := headOf(s.repo)
	return err == nil && head != s.head
}

// sheet is the deliveries as they are now.
func (b *Inbox) sheet() (*sheet, error) {
	for {
		head, err := headOf(b.repo)
		if err != nil {
			return nil, err
		}
		s := &sheet{
			repo: b.repo, at: b.now().UTC(), head: head, batch: b.repo.NewBatch(),
			left: map[string]git.Hash{}, fresh: map[git.Hash][]byte{},
			folders: map[string]map[string]bool{}, last: map[string]uint64{},
		}
		if head.IsZero() {
			return s, nil
		}
		c, err := b.repo.Commit(head)
		if err == nil {
			s.tree = c.Tree
			return s, nil
		}
		if !s.moved() {
			return nil, err
		}
	}
}

// view reads, anew if what is read was dropped meanwhile.
func (b *Inbox) view(look func(*sheet) error) error {
	for range maxRaces {
		s, err := b.sheet()
		if err != nil {
			return err
		}
		err = look(s)
		if !errors.Is(err, git.ErrObjectNotFound) || !s.moved() {
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries: %w", maxRaces, git.ErrObjectNotFound)
}

// file finds the file at a path. Errors: fs.ErrNotExist.
func (s *sheet) file(name string) (git.Hash, error) {
	if h, ok := s.left[name]; ok {
		if h.IsZero() {
			return h, fs.ErrNotExist
		}
		return h, nil
	}
	if s.tree.IsZero() {
		return git.Zero, fs.ErrNotExist
	}
	e, err := s.repo.Entry(s.tree, name)
	return e.Hash, err
}

// read reads the file at a path. Errors: fs.ErrNotExist, git.ErrTooLarge.
func (s *sheet) read(name string, limit int64) ([]byte, error) {
	h, err := s.file(name)
	if err != nil {
		return nil, err
	}
	if data, ok := s.fresh[h]; ok {
		return data, nil
	}
	return s.repo.ReadBlob(h, limit)
}

// list is the names in a folder, which the caller only reads; a folder that is not
// there is empty.
func (s *sheet) list(folder string) (map[string]bool, error) {
	if names, ok := s.folders[folder]; ok {
		return names, nil
	}
	names := map[string]bool{}
	if !s.tree.IsZero() {
		entries, err := s.repo.List(s.tree, folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			names[e.Name] = true
		}
	}
	s.folders[folder] = names
	for _, e := range s.edits {
		s.relist(e)
	}
	return names, nil
}

// relist brings the lists of folders up to an edit. A folder that has become empty
// is still in the list of the one above: nobody minds before the next sheet.
func (s *sheet) relist(e git.TreeEdit) {
	for name := e.Path; ; {
		folder, base, within := cutLast(name)
		if names, listed := s.folders[folder]; listed && !e.Hash.IsZero() {
			names[base] = true
		} else if listed && name == e.Path {
			delete(names, base)
		}
		if !within {
			return
		}
		name = folder
	}
}

func cutLast(name string) (folder, base string, within bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

func (s *sheet) put(name string, data []byte) {
	h := s.batch.Blob(data)
	s.fresh[h] = data
	s.link(name, h)
}

// link sets the file at a path to a blob; Zero drops what is there.
func (s *sheet) link(name string, h git.Hash) {
	e := git.TreeEdit{Path: name, Mode: git.ModeFile, Hash: h}
	s.left[name] = h
	s.edits = append(s.edits, e)
	s.relist(e)
}

func (s *sheet) drop(name string) { s.link(name, git.Zero) }

// write makes the edits durable, if the ref has not moved. Errors: git.ErrRefMoved.
func (s *sheet) write(ctx context.Context, changes int) error {
	tree, err := s.batch.EditTree(s.tree, s.edits)
	if err != nil {
		return err
	}
	next := s.batch.Commit(git.CommitSpec{
		Tree: tree, Name: "Velocity", Email: "velocity@localhost", When: s.at,
		Message: fmt.Sprintf("deliveries: %d changes\n", changes),
	})
	return s.repo.Write(ctx, s.batch, []git.RefUpdate{{Name: Ref, Old: s.head, New: next}})
}
