package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// An Erasure moves refs and makes what only their old values led to go for good.
type Erasure struct {
	Batch   *Batch // new objects; may be nil
	Updates []RefUpdate
	// Also picks, among the commits that nothing reaches, those that go with all
	// that only they lead to. May be nil.
	Also func(Commit) bool
}

// Erased tells what an Erasure did.
type Erased struct {
	Objects  int        // that are gone
	Bytes    int64      // freed on disk; what had to be written anew is taken off
	Reflogs  []string   // refs whose reflog was deleted
	Kept     []KeptPack // packs that still hold some of the objects
	Borrowed int        // objects that are in a repository this one borrows from
}

// A KeptPack is a pack that was left alone although it holds objects that had to go.
type KeptPack struct {
	Path    string // of the .pack file
	Objects int    // that had to go
	Why     string
}

// erasureFile lists the objects an unfinished erasure condemned, one id a line.
// It is on disk before the first ref moves: afterwards nothing else knows them.
const erasureFile = "erasure"

// Erase writes like Write, deletes the reflogs of the refs it moves, and then
// removes every object that the old values reached and that no ref, reflog, index
// or work tree reaches any more, from packs and loose files, of ours and of git's.
// Nothing else goes.
//
// An erasure that a crash or an error interrupted, or that had to leave a pack
// alone, is completed by the next one, also by one without updates. Erase waits for writers and upkeep of other
// processes to end, and keeps them out while objects go. What a foreign git
// process is just about to use again, it cannot see, as git prune cannot.
func (r *Repository) Erase(ctx context.Context, e Erasure) (Erased, error) {
	var done Erased
	if err := r.mayErase(); err != nil {
		return done, err
	}
	unlock, err := r.waitLock(ctx, upkeepLock, syscall.LOCK_EX)
	if err != nil {
		return done, err
	}
	defer unlock()
	r.Reindex() // what is in a pack without an index goes, too
	if err := r.condemn(ctx, e); err != nil {
		return done, fmt.Errorf("find what goes: %w", err)
	}
	if err := r.Write(ctx, e.Batch, e.Updates); err != nil {
		return done, err
	}
	if done.Reflogs, err = r.dropReflogs(e.Updates); err != nil {
		return done, fmt.Errorf("drop reflogs: %w", err)
	}
	if err := r.prune(ctx, &done); err != nil {
		return done, fmt.Errorf("remove objects: %w", err)
	}
	return done, nil
}

// mayErase refuses repositories in which objects must stay, or cannot be told
// apart.
func (r *Repository) mayErase() error {
	switch {
	case r.format.precious:
		return errors.New("extensions.preciousObjects is set: no object may be deleted from this repository")
	case r.format.partial:
		return errors.New("this is a partial clone, which cannot tell what is still needed: erase in a full one")
	}
	return nil
}

func (r *Repository) erasurePath() string {
	return filepath.Join(r.commonDir, ownFolder, erasureFile)
}

// dropReflogs deletes the reflogs of refs: all entries of one lead to the old
// history, by what they came from.
func (r *Repository) dropReflogs(updates []RefUpdate) (dropped []string, err error) {
	for _, update := range updates {
		path := filepath.Join(r.commonDir, "logs", update.Name)
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if err := r.disk.remove(path); err != nil {
			return dropped, err
		}
		if err := r.disk.syncFolder(filepath.Dir(path)); err != nil {
			return dropped, err
		}
		dropped = append(dropped, update.Name)
	}
	return dropped, nil
}

// prune removes what is condemned and not reached any more. Writers stay out.
func (r *Repository) prune(ctx context.Context, done *Erased) error {
	unlock, err := r.lockPacks(ctx, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	condemned, err := r.condemned()
	if err != nil || len(condemned) == 0 {
		return err
	}
	reached, _, err := r.reachable(ctx, condemned, nil, nil)
	if err != nil {
		return err
	}
	for h := range reached {
		delete(condemned, h)
	}
	if err := r.removeObjects(ctx, condemned, done); err != nil {
		return err
	}
	if len(done.Kept) > 0 {
		return r.sweep() // the list stays for when the packs may be touched
	}
	if err := r.disk.remove(r.erasurePath()); err != nil {
		return err
	}
	if err := r.disk.syncFolder(filepath.Dir(r.erasurePath())); err != nil {
		return err
	}
	return r.sweep()
}

// removeLoose deletes loose objects and returns which there were.
func (r *Repository) removeLoose(doomed map[Hash]bool, done *Erased) (map[Hash]bool, error) {
	removed, folders := make(map[Hash]bool), make(map[string]bool)
	for h := range doomed {
		id := h.String()
		folder := filepath.Join(r.commonDir, "objects", id[:2])
		path := filepath.Join(folder, id[2:])
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := r.disk.remove(path); err != nil {
			return nil, err
		}
		done.Bytes += info.Size()
		removed[h], folders[folder] = true, true
	}
	for folder := range folders {
		if err := r.disk.syncFolder(folder); err != nil {
			return nil, err
		}
	}
	return removed, nil
}

// borrowed counts the objects that repositories we borrow from still have.
func (r *Repository) borrowed(doomed map[Hash]bool) (int, error) {
	folders, err := objectFolders(r.objects.folder)
	if err != nil || len(folders) == 1 {
		return 0, err
	}
	n := 0
	for _, folder := range folders[1:] {
		lender := newObjectStore(folder, r.pauseRead)
		for h := range doomed {
			has, err := lender.has(h)
			if err != nil {
				return n, err
			}
			if has {
				n++
			}
		}
	}
	return n, nil
}

// forgetCaches deletes what git keeps about packs and commits to be faster: it
// names objects that are gone, which git takes for damage, and is made anew by gc.
func (r *Repository) forgetCaches() error {
	objects := escapeGlob(filepath.Join(r.commonDir, "objects"))
	for _, pattern := range []string{"pack/multi-pack-index*", "info/commit-graph", "info/commit-graphs/*"} {
		caches, err := filepath.Glob(filepath.Join(objects, pattern))
		if err != nil {
			return err
		}
		for _, cache := range caches {
			if strings.HasSuffix(cache, ".lock") {
				continue
			}
			if err := r.disk.remove(cache); err != nil {
				return err
			}
		}
	}
	return nil
}
