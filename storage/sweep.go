package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tempAge is the age at which a temporary object file has no owner any more.
const tempAge = time.Hour

// sweepObjects removes what a death or a power cut leaves among the objects and
// nobody repairs: empty files, which git takes for the object and never writes
// again, and temporary files and parts of packs that nothing will finish.
func (l *Ledger) sweepObjects() error {
	objects := filepath.Join(l.repo.CommonDir(), "objects")
	err := filepath.WalkDir(objects, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // git tidies up at the same time
		}
		if err != nil || entry.IsDir() {
			return err
		}
		useless, err := l.useless(path, entry)
		if err != nil || !useless {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.report("removed %s, which an interrupted write left", path)
		return nil
	})
	if err != nil {
		return fmt.Errorf("sweep objects: %w", err)
	}
	return nil
}

func (l *Ledger) useless(path string, entry fs.DirEntry) (bool, error) {
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	name, old := entry.Name(), l.now().Sub(info.ModTime()) > tempAge
	base, ext, _ := strings.Cut(name, ".")
	switch {
	case strings.HasPrefix(name, "tmp_"):
		return old, nil
	case len(filepath.Base(filepath.Dir(path))) == 2 && len(name) == 38:
		return info.Size() == 0, nil
	case strings.HasPrefix(base, "pack-") && (ext == "idx" || ext == "keep"):
		_, err := os.Stat(filepath.Join(filepath.Dir(path), base+".pack"))
		return old && errors.Is(err, fs.ErrNotExist), nil
	}
	return false, nil
}
