package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// reindex makes the indexes of sound packs that have none, and reports whether it
// made any. What it cannot mend stays as it is: whoever asks misses an object, and
// says so.
//
// git's gc deletes an index, and a .keep file with it, whose pack it has not seen.
// It lists the folder in pieces and looks into packs in between, so that with more
// than some 130 packs it may list the index of a pack that was just published, and
// not the pack. What a ref leads to would then be there and not be found.
func (r *Repository) reindex() bool {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(r.packFolder()), "pack-*.pack"))
	if err != nil {
		return false
	}
	mended := false
	for _, path := range paths {
		if _, err := os.Stat(strings.TrimSuffix(path, ".pack") + ".idx"); err == nil {
			continue
		}
		if _, sound, err := sumOf(path); err != nil || !sound {
			continue
		}
		// A read is short and takes no context.
		mended = r.IndexPack(context.Background(), path) == nil || mended
	}
	return mended
}
