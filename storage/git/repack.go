package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// repack writes objects as one durable pack of ours and returns its path without
// extension, "" for no objects.
func (r *Repository) repack(ctx context.Context, objects map[Hash]bool) (string, error) {
	return r.packTo(ctx, objects, func(made, final string) error {
		return r.disk.publish(made+".pack", made+".idx", final)
	})
}

// packTo writes objects as one pack outside the repository's packs and lets place
// bring it, synced, from made to final, both without extension. It returns final,
// "" for no objects.
func (r *Repository) packTo(ctx context.Context, objects map[Hash]bool, place func(made, final string) error) (string, error) {
	if len(objects) == 0 {
		return "", nil
	}
	var stdin bytes.Buffer
	for h := range objects {
		fmt.Fprintf(&stdin, "%s\n", h)
	}
	temp, err := os.MkdirTemp(filepath.Join(r.commonDir, ownFolder), packTemp)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }() // what stays, a sweep removes
	out, err := r.run(ctx, command{
		options: []string{"pack.threads=1", "pack.writeReverseIndex=false", "pack.packSizeLimit=0"}, // one pack
		args:    []string{"pack-objects", "--quiet", filepath.Join(temp, "pack")},
		stdin:   &stdin,
	})
	if err != nil {
		return "", err
	}
	name := "pack-" + strings.TrimSpace(string(out))
	made, final := filepath.Join(temp, name), filepath.Join(r.packFolder(), name)
	for _, extension := range []string{".pack", ".idx"} {
		if err := r.disk.syncPath(made + extension); err != nil {
			return "", err
		}
	}
	return final, place(made, final)
}

// replacePacks deletes the old packs except for those that are new as well. The
// caller holds the packs lock alone.
func (r *Repository) replacePacks(old []*ownPack, now ...string) error {
	for _, p := range old {
		if slices.Contains(now, p.path) {
			continue
		}
		if err := r.removePack(p.path); err != nil {
			return err
		}
	}
	return r.disk.syncFolder(r.packFolder())
}

// removePack deletes a pack of ours, our mark last, so that a sweep can go on
// after a crash.
func (r *Repository) removePack(base string) error {
	for _, extension := range []string{".pack", ".idx", ".rev", ".bitmap", ".mtimes", ".keep"} {
		if err := r.disk.remove(base + extension); err != nil {
			return err
		}
	}
	return nil
}

// packTemp is the pattern of unfinished packs in our folder: files of writers,
// folders of upkeep.
const packTemp = "pack-*"

// complete reports whether a pack and its index are there.
func complete(base string) bool {
	for _, extension := range []string{".pack", ".idx"} {
		if _, err := os.Stat(base + extension); errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// sweep removes what writers and upkeep left behind when they were killed: packs
// that never became complete, in our folder and among the packs. One that lacks
// only its index stays, for refs may lead into it: see Reindex. The caller holds
// both locks, so nobody is at work on any of them.
func (r *Repository) sweep() error {
	marks, err := filepath.Glob(filepath.Join(escapeGlob(r.packFolder()), "pack-*.keep"))
	if err != nil {
		return err
	}
	for _, mark := range marks {
		base := strings.TrimSuffix(mark, ".keep")
		if complete(base) || !isOurs(mark) {
			continue
		}
		if _, sound, err := sumOf(base + ".pack"); err == nil && sound {
			continue // only its index is missing
		}
		if err := r.removePack(base); err != nil {
			return err
		}
	}
	temps, err := filepath.Glob(filepath.Join(escapeGlob(r.commonDir), ownFolder, packTemp))
	if err != nil {
		return err
	}
	for _, temp := range temps {
		if err := os.RemoveAll(temp); err != nil {
			return err
		}
	}
	return nil
}
