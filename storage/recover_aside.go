package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/velocity-ci/velocity/storage/git"
)

// aside is the folder for what is left of refs that lead nowhere.
func (s *Store) aside() string { return filepath.Join(s.folder(), "corrupt") }

// damage tells what is wrong with the data from what is wrong with the machine,
// such as a file that we may not open: that passes, and takes nothing with it.
func damage(err error) bool {
	var path *fs.PathError
	return !errors.As(err, &path) && !newer(err) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// newer reports whether a record could not be read since a newer program wrote it.
func newer(err error) bool {
	var version *VersionError
	return errors.As(err, &version)
}

// setFileAside moves the file of a ref that holds no object id. An older value
// that git has packed shows again then, and is said to be one.
func (l *Ledger) setFileAside(ref *git.BrokenRef) (did string, err error) {
	if err := l.repo.MakeFolder(l.aside()); err != nil {
		return "", err
	}
	from := filepath.Join(l.repo.CommonDir(), ref.Name)
	if err := os.Rename(from, filepath.Join(l.aside(), asideName(ref.Name))); err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	if err := errors.Join(syncFolder(filepath.Dir(from)), syncFolder(l.aside())); err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	older := "it is gone"
	if h, err := l.repo.Ref(ref.Name); err == nil {
		older = "it is back at " + h.String()
	}
	return fmt.Sprintf("%s: put aside, %s", ref.Error(), older), nil
}

// setRefAside deletes a ref whose object is missing and keeps its value in a file.
func (l *Ledger) setRefAside(ctx context.Context, ref git.Ref, why error) (did string, err error) {
	content := fmt.Sprintf("%s %s\n%v\n", ref.Hash, ref.Name, why)
	if err := l.replaceFile(filepath.Join(l.aside(), asideName(ref.Name)), []byte(content)); err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	if err := l.repo.Write(ctx, nil, []git.RefUpdate{{Name: ref.Name, Old: ref.Hash}}); err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	return fmt.Sprintf("%s cannot be read and was put aside: %v", ref.Name, why), nil
}

func asideName(ref string) string { return strings.ReplaceAll(ref, "/", "-") }

// putAway takes a ref out of the way whose record makes no sense: into quarantine
// if all of it is there, else, since git would stumble over it wherever it is,
// into a file.
func (l *Ledger) putAway(ctx context.Context, ref git.Ref, name string, why error) (did string, err error) {
	missing, err := l.repo.Incomplete(ctx, ref.Hash)
	if err != nil {
		return "", err
	}
	if missing != "" {
		return l.setRefAside(ctx, ref, why)
	}
	err = l.quarantine(ctx, ref, name, why)
	return fmt.Sprintf("%s cannot be read and was quarantined: %v", ref.Name, why), err
}

// quarantine moves a ref out of the way together with what it names, so that
// people can look at it. The reason is the message.
func (l *Ledger) quarantine(ctx context.Context, ref git.Ref, name string, why error) error {
	entry := l.entryOf(ref.Hash)
	batch := l.repo.NewBatch()
	tree, err := batch.Tree([]git.TreeEntry{entry})
	if err != nil {
		return err
	}
	to := storeRef(l.store, "quarantine/"+name)
	before, err := l.repo.Ref(to)
	if err != nil && !errors.Is(err, git.ErrRefNotFound) {
		return err
	}
	spec := l.commit(tree, fmt.Sprintf("%s\n\n%v\n\nVelocity-Writer: %s\n", ref.Name, oneLine(why.Error()), oneLine(l.writer)))
	if !before.IsZero() {
		spec.Parents = []git.Hash{before}
	}
	return l.repo.Write(ctx, batch, []git.RefUpdate{
		{Name: to, Old: before, New: batch.Commit(spec)},
		{Name: ref.Name, Old: ref.Hash},
	})
}

// entryOf is the object of a ref as something that a tree can hold.
func (l *Ledger) entryOf(h git.Hash) git.TreeEntry {
	c, err := l.repo.Commit(h)
	if err == nil {
		return git.TreeEntry{Name: "record", Mode: git.ModeTree, Hash: c.Tree}
	}
	if _, listErr := l.repo.List(h, ""); listErr == nil {
		return git.TreeEntry{Name: "record", Mode: git.ModeTree, Hash: h}
	}
	return git.TreeEntry{Name: "record", Mode: git.ModeFile, Hash: h}
}
