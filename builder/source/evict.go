package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// goneEnding is that of a mirror which is being removed.
const goneEnding = ".gone"

// release gives an origin back. The last one to do so dates its mirror, by which
// the least recently used is known to later processes too, and makes room.
func (f *Fresh) release(o *origin) error {
	f.mu.Lock()
	o.uses--
	idle := o.uses == 0 && o.dir != "" && f.Limit > 0
	f.mu.Unlock()
	if !idle {
		return nil
	}
	now := f.Now()
	if err := os.Chtimes(o.dir, now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("date mirror: %w", err)
	}
	return f.evict()
}

// A cached mirror is one on the disk.
type cached struct {
	dir  string
	used time.Time
	size int64
}

// evict removes mirrors that nobody uses, least recently used first, until the
// rest is within the limit. It may be called by many at once.
func (f *Fresh) evict() error {
	all, err := f.cached()
	if err != nil {
		return err
	}
	var total int64
	for _, c := range all {
		total += c.size
	}
	for _, c := range all {
		if total <= f.Limit {
			break
		}
		gone, err := f.condemn(c.dir)
		if err != nil {
			return err
		}
		if gone == "" {
			continue
		}
		if err := os.RemoveAll(gone); err != nil {
			return fmt.Errorf("remove mirror: %w", err)
		}
		total -= c.size
	}
	return nil
}

// cached lists the mirrors, least recently used first.
func (f *Fresh) cached() ([]cached, error) {
	entries, err := os.ReadDir(f.Mirrors)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list mirrors: %w", err)
	}
	var all []cached
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() {
			continue // removed meanwhile, or not ours
		}
		dir := filepath.Join(f.Mirrors, e.Name())
		all = append(all, cached{dir: dir, used: info.ModTime(), size: sizeOf(dir)})
	}
	slices.SortFunc(all, func(a, b cached) int { return a.used.Compare(b.used) })
	return all, nil
}

// condemn takes a mirror out of use, so that the next who needs it makes it anew,
// and returns where it is to be removed; "" if it is in use.
func (f *Fresh) condemn(dir string) (string, error) {
	if strings.HasSuffix(dir, goneEnding) {
		return dir, nil // of a process that died
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, o := range f.origins {
		if o.dir != dir {
			continue
		}
		if o.uses > 0 {
			return "", nil
		}
		delete(f.origins, name)
	}
	if err := os.Rename(dir, dir+goneEnding); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("remove mirror: %w", err)
	}
	return dir + goneEnding, nil
}

// sizeOf is the length of all files below dir that can be looked at.
func sizeOf(dir string) int64 {
	var size int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // git may be removing it: what is left counts
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}
