package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// transaction moves refs by git's lock file protocol: REF.lock exists while a ref
// may change, holds the new value, and becomes the ref by a rename.
type transaction struct {
	r       *Repository
	updates []RefUpdate
	held    map[string]*os.File // lock files not yet renamed, by ref
	packed  string              // packed-refs.lock, when held
}

// packedRefsLock is git's lock for packed-refs.
const packedRefsLock = "packed-refs.lock"

// lockTemp is the pattern of files in our folder that become packed-refs.lock.
const lockTemp = "lock-*"

// compare fails unless every ref has the value its update names, and returns the
// packed refs it saw if it had to look there. Packed refs are read once and after
// all loose ones, see packedRef.
func (r *Repository) compare(updates []RefUpdate) (packed packedRefs, err error) {
	got := make([]Hash, len(updates))
	absent := false
	for i, update := range updates {
		h, target, err := r.looseRef(r.commonDir, update.Name)
		if err != nil && !errors.Is(err, ErrRefNotFound) {
			return packed, err
		}
		if target != "" {
			return packed, fmt.Errorf("ref %s is symbolic: it names %s", update.Name, target)
		}
		got[i] = h
		absent = absent || h.IsZero()
	}
	if absent {
		if packed, err = r.readPackedRefs(); err != nil {
			return packed, err
		}
	}
	for i, update := range updates {
		if got[i].IsZero() {
			got[i], _ = packed.find(update.Name)
		}
		if got[i] != update.Old {
			races.Add(1)
			return packed, &RefMovedError{Name: update.Name, Want: update.Old, Got: got[i]}
		}
	}
	return packed, nil
}

// moveRefs carries out updates, whose names are checked.
func (r *Repository) moveRefs(ctx context.Context, updates []RefUpdate) error {
	t := &transaction{r: r, updates: updates, held: make(map[string]*os.File)}
	defer t.release()
	if err := t.lock(ctx); err != nil {
		return err
	}
	if err := t.verify(); err != nil {
		return err
	}
	if err := t.prepare(); err != nil {
		return fmt.Errorf("write refs: %w", err)
	}
	deletes := slices.ContainsFunc(updates, RefUpdate.deletes)
	if deletes {
		if err := t.lockPacked(ctx); err != nil {
			return err
		}
	}
	// From here on the caller's context no longer counts: half a move helps nobody.
	done, err := t.rename()
	if err == nil && deletes {
		err = t.delete()
	}
	if err != nil {
		return fmt.Errorf("move refs (%d of %d have changed): %w", done, len(updates), err)
	}
	return nil
}

func (u RefUpdate) deletes() bool { return u.New.IsZero() && !u.Old.IsZero() }
func (u RefUpdate) sets() bool    { return !u.New.IsZero() && u.New != u.Old }

// lock creates all lock files, in one order for all writers.
func (t *transaction) lock(ctx context.Context) error {
	sorted := slices.SortedFunc(slices.Values(t.updates), func(a, b RefUpdate) int { return cmp.Compare(a.Name, b.Name) })
	for _, update := range sorted {
		path := t.path(update) + ".lock"
		err := t.r.untilFree(ctx, path, func() error {
			file, err := t.create(path)
			if err == nil {
				t.held[update.Name] = file
			}
			return err
		})
		if errors.Is(err, syscall.ENOTDIR) {
			return fmt.Errorf("ref %s cannot exist beside a ref that is the beginning of its name", update.Name)
		}
		if err != nil {
			return fmt.Errorf("lock ref %s: %w", update.Name, err)
		}
	}
	return nil
}

// createTries bounds the race for a folder that git removes when it is empty.
const createTries = 100

// create makes a lock file and its folder.
func (t *transaction) create(path string) (file *os.File, err error) {
	for range createTries {
		if err = t.r.disk.folder(filepath.Dir(path)); err == nil {
			file, err = t.r.disk.create(path, 0o666)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return nil, err
}

// verify compares under the locks and refuses names that clash with others.
func (t *transaction) verify() error {
	packed, err := t.r.compare(t.updates)
	if err != nil {
		return err
	}
	for _, update := range t.updates {
		if !update.Old.IsZero() || !update.sets() {
			continue
		}
		if clash := t.clash(packed, update); clash != "" {
			return fmt.Errorf("ref %s cannot exist beside %s", update.Name, clash)
		}
	}
	return nil
}

// clash returns a ref that is a folder of the new one, or has it as a folder.
func (t *transaction) clash(packed packedRefs, update RefUpdate) (name string) {
	packed.withPrefix(update.Name+"/", func(ref Ref) { name = ref.Name })
	for parent := filepath.Dir(update.Name); parent != "refs"; parent = filepath.Dir(parent) {
		if _, ok := packed.find(parent); ok {
			name = parent
		}
	}
	if name == "" && !removeEmpty(t.path(update)) {
		name = "refs below " + update.Name + "/"
	}
	return name
}

// removeEmpty removes a folder that git or we left where a ref shall be, and
// reports whether the place is free.
func removeEmpty(path string) bool {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return true
	}
	for _, entry := range entries {
		if !entry.IsDir() || !removeEmpty(filepath.Join(path, entry.Name())) {
			return false
		}
	}
	return err == nil && os.Remove(path) == nil
}

// prepare writes the new values into the lock files, durably.
func (t *transaction) prepare() error {
	for _, update := range t.updates {
		if !update.sets() {
			continue
		}
		if err := t.r.disk.finish(t.held[update.Name], []byte(update.New.String()+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// rename makes lock files refs and returns how many; each folder is synced once.
func (t *transaction) rename() (done int, err error) {
	var folders []string
	for _, update := range t.updates {
		if !update.sets() {
			continue
		}
		path := t.path(update)
		if err := t.r.disk.rename(path+".lock", path); err != nil {
			return done, err
		}
		delete(t.held, update.Name)
		done++
		folders = append(folders, filepath.Dir(path))
	}
	return done, t.syncAll(folders)
}

func (t *transaction) syncAll(folders []string) error {
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		err := t.r.disk.syncFolder(folder)
		if errors.Is(err, fs.ErrNotExist) {
			err = t.syncPacked(filepath.Dir(folder))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// release removes the lock files that are left. Failing would leave them to
// StaleLocks, which is all an error could ask for.
func (t *transaction) release() {
	if t.packed != "" {
		_ = os.Remove(t.packed)
	}
	for name, file := range t.held {
		_ = file.Close() // closed already after prepare
		_ = os.Remove(filepath.Join(t.r.commonDir, name) + ".lock")
	}
}

func (t *transaction) path(update RefUpdate) string {
	return filepath.Join(t.r.commonDir, update.Name)
}
