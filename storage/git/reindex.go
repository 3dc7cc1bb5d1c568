package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Reindex makes the indexes of sound packs that have none, and reports whether it
// made any. What it cannot mend stays as it is: whoever asks misses an object, and
// says so. It looks at the names in one folder, and may be called at any time.
//
// git's gc deletes an index, and a .keep file with it, whose pack it has not seen.
// It lists the folder in pieces and looks into packs in between, so that with more
// than some 130 packs it may list the index of a pack that was just published, and
// not the pack. What a ref leads to is then there and is not found. Whoever reads
// with this package mends that when an object is missing; git itself does not, and
// until somebody has, it refuses pushes and drops the lines of notes.
func (r *Repository) Reindex() (made bool) {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(r.packFolder()), "pack-*.pack"))
	if err != nil {
		return false
	}
	for _, path := range paths {
		if _, err := os.Stat(strings.TrimSuffix(path, ".pack") + ".idx"); err == nil {
			continue
		}
		if _, sound, err := sumOf(path); err != nil || !sound {
			continue
		}
		// A read is short and takes no context.
		made = r.addIndex(context.Background(), path) == nil || made
	}
	return made
}

// addIndex gives a pack an index, durably, unless it has one by then: several
// readers may miss it at once, and none takes away what another one has made.
func (r *Repository) addIndex(ctx context.Context, path string) error {
	temp, err := os.MkdirTemp(filepath.Join(r.commonDir, ownFolder), packTemp)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }() // what stays, a sweep removes
	made, err := r.makeIndex(ctx, temp, path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil { // merged meanwhile
		return err
	}
	index := strings.TrimSuffix(path, ".pack") + ".idx"
	if err := os.Link(made, index); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return r.disk.syncFolder(filepath.Dir(index))
}

// makeIndex makes the index of a pack in another folder, temp, and syncs it.
func (r *Repository) makeIndex(ctx context.Context, temp, path string) (made string, err error) {
	made = filepath.Join(temp, "made.idx")
	if _, err := r.git(ctx, "index-pack", "-o", made, path); err != nil {
		return "", err
	}
	return made, r.disk.syncPath(made)
}

// GCAtWork reports whether a gc, git's or ours, has marked the repository. It costs
// one look at a file that is hardly ever there.
func (r *Repository) GCAtWork() bool {
	host, err := os.Hostname()
	return err == nil && atWork(filepath.Join(r.commonDir, gcMark), host)
}

// AfterGC waits until no gc is at work any more, or for the end of ctx, and does
// then what Reindex does: a gc deletes at its end.
func (r *Repository) AfterGC(ctx context.Context) {
	for r.GCAtWork() && r.sleep(ctx, gcPace) == nil {
	}
	r.Reindex()
}
