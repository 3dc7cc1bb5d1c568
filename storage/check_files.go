package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// locks finds lock files of refs that a death left.
func (x *examination) locks(ctx context.Context) error {
	age := staleLock
	if x.ledger != nil && !x.ledger.lock.clean {
		age = deadLock
		if err := x.ledger.outwaitLocks(ctx); err != nil {
			return err
		}
	}
	stale, err := x.repo.StaleLocks([]string{RefPrefix, NotesRef}, age, x.now())
	if err != nil {
		return err
	}
	if x.depth > atStart {
		for _, name := range []string{"packed-refs.lock", "objects/info/commit-graph.lock"} {
			path := filepath.Join(x.repo.CommonDir(), name)
			if !slices.Contains(stale, path) && older(path, tempAge, x.now()) {
				stale = append(stale, path) // git's: none is at work under it for so long
			}
		}
	}
	for _, path := range stale {
		if err := x.found(ctx, Finding{
			Code: StaleLock, Severity: Leftover, Place: path,
			Problem: "a process that died left this lock; writing the ref waits for it in vain",
			Remedy:  "the lock is removed",
			mend: func(context.Context, *Ledger) (string, error) {
				return fmt.Sprintf("removed the lock %s of a process that died", path), removeLeft(path)
			},
		}); err != nil {
			return err
		}
	}
	return nil
}

// removeLeft removes a file that may be gone by now.
func removeLeft(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// leftovers finds what an interrupted write left among the objects. At the start
// it is looked for only if the last writer died.
func (x *examination) leftovers(ctx context.Context) error {
	if x.depth == atStart && x.ledger.lock.clean {
		return nil
	}
	objects := filepath.Join(x.repo.CommonDir(), "objects")
	err := filepath.WalkDir(objects, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // git tidies up at the same time
		}
		if err != nil || entry.IsDir() {
			return err
		}
		code, problem, err := useless(path, entry, x.now())
		if err != nil || code == "" {
			return err
		}
		return x.found(ctx, Finding{
			Code: code, Severity: Leftover, Place: path, Problem: problem, Remedy: "the file is removed",
			mend: func(context.Context, *Ledger) (string, error) {
				return fmt.Sprintf("removed %s, which an interrupted write left", path), removeLeft(path)
			},
		})
	})
	if err != nil {
		return fmt.Errorf("sweep objects: %w", err)
	}
	return nil
}

// packs finds packs that cannot be read for want of an index, and packs of ours
// that are not what was written.
func (x *examination) packs(ctx context.Context) error {
	damaged, err := x.repo.DamagedPacks(ctx)
	if err != nil {
		return err
	}
	for _, d := range damaged {
		if d.Damage == git.NoIndex && !older(d.Path, tempAge, x.now()) {
			continue // somebody is just writing it
		}
		if err := x.found(ctx, x.packFinding(d)); err != nil {
			return err
		}
	}
	if x.ledger != nil {
		x.repo.Reindex() // those that were too young to tell of: what follows asks git
	}
	return nil
}

func older(path string, age time.Duration, now time.Time) bool {
	info, err := os.Stat(path)
	return err == nil && now.Sub(info.ModTime()) > age
}

func (x *examination) packFinding(d git.DamagedPack) Finding {
	f := Finding{Place: d.Path, Severity: Damage, Remedy: "the index is made anew"}
	f.mend = func(ctx context.Context, l *Ledger) (string, error) {
		return "made the index of " + d.Path + " anew", l.repo.IndexPack(ctx, d.Path)
	}
	switch {
	case d.Damage == git.NoIndex && d.Sound:
		f.Code, f.Problem = PackWithoutIndex, "nothing in the pack can be read without its index"
	case d.Damage == git.NoIndex:
		f.Code, f.Problem = PackWithoutIndex, "the pack has no index and is damaged itself"
		f.Remedy = "the pack is moved to " + x.aside()
		f.mend = func(_ context.Context, l *Ledger) (string, error) {
			return d.Path + " is damaged and has no index: put aside", l.moveAside(d.Path)
		}
	case d.Damage == git.BadIndex:
		f.Code, f.Problem = BadIndex, "the index is damaged, or of another pack"
	default:
		f.Code, f.Problem = BadPack, "the pack is damaged: some of its objects cannot be read"
		f.Remedy = "what can be read is written again, and the pack is moved to " + x.aside()
		f.mend = func(ctx context.Context, l *Ledger) (string, error) {
			kept, lost, err := l.repo.Salvage(ctx, d.Path, l.aside())
			if errors.Is(err, git.ErrTooLarge) {
				return "left " + d.Path + " as it is: it is too large to be written again; bring the file back from a backup", nil
			}
			return fmt.Sprintf("wrote the objects of %s again that can be read (%d, and %d cannot) and put it aside", d.Path, kept, lost), err
		}
	}
	return f
}

// moveAside moves a file that is no use where it is.
func (l *Ledger) moveAside(path string) error {
	if err := l.repo.MakeFolder(l.aside()); err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(l.aside(), filepath.Base(path))); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	if err := errors.Join(syncFolder(filepath.Dir(path)), syncFolder(l.aside())); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	return nil
}
