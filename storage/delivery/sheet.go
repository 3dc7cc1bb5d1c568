package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
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
	left       map[string]git.Hash // by edits at their paths, Zero for nothing
	fresh      map[git.Hash][]byte // what the batch brings
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

// list names what is in a folder, in git's order and then what is new; a folder
// that is not there is empty.
func (s *sheet) list(folder string) ([]string, error) {
	var names []string
	if !s.tree.IsZero() {
		entries, err := s.repo.List(s.tree, folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if h, edited := s.left[path.Join(folder, e.Name)]; !edited || !h.IsZero() {
				names = append(names, e.Name)
			}
		}
	}
	for _, e := range s.edits {
		rest, below := strings.CutPrefix(e.Path, folder+"/")
		if !below || s.left[e.Path].IsZero() {
			continue
		}
		name, _, _ := strings.Cut(rest, "/")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (s *sheet) put(name string, data []byte) {
	h := s.batch.Blob(data)
	s.fresh[h] = data
	s.link(name, h)
}

// link sets the file at a path to a blob; Zero drops what is there.
func (s *sheet) link(name string, h git.Hash) {
	s.left[name] = h
	s.edits = append(s.edits, git.TreeEdit{Path: name, Mode: git.ModeFile, Hash: h})
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
