package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// removeObjects takes objects out of the repository. Packs that hold some are
// first written anew without them, durably, and only then deleted, so that
// nothing else is missing at any moment.
func (r *Repository) removeObjects(ctx context.Context, doomed map[Hash]bool, done *Erased) error {
	packs, err := r.packsWith(doomed, done)
	if err != nil {
		return err
	}
	gone := make(map[Hash]bool)
	var rest []string
	for _, p := range packs {
		base, err := r.rewrite(ctx, p, doomed, gone)
		if err != nil {
			return err
		}
		rest = append(rest, base)
	}
	if len(doomed) > 0 {
		if err := r.forgetCaches(); err != nil {
			return err
		}
	}
	done.Bytes += packBytes(pathsOf(packs)) - packBytes(rest)
	if err := r.replacePacks(packs, rest...); err != nil {
		return err
	}
	loose, err := r.removeLoose(doomed, done)
	if err != nil {
		return err
	}
	for h := range loose {
		gone[h] = true
	}
	done.Objects = len(gone)
	done.Borrowed, err = r.borrowed(doomed)
	return err
}

// packsWith lists the packs that hold some of the objects and may be rewritten;
// those that may not, it notes as kept.
func (r *Repository) packsWith(doomed map[Hash]bool, done *Erased) ([]*ownPack, error) {
	paths, err := packsIn(r.packFolder())
	if err != nil {
		return nil, err
	}
	var found []*ownPack
	for _, path := range paths {
		p := &ownPack{pack: pack{path: path}}
		n := 0
		if err := p.names(func(h Hash) {
			if doomed[h] {
				n++
			}
		}); err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		if why := keptBecause(path); why != "" {
			done.Kept = append(done.Kept, KeptPack{Path: path + ".pack", Objects: n, Why: why})
			continue
		}
		found = append(found, p)
	}
	return found, nil
}

// keptBecause says why a pack must stay as it is, "" if it need not.
func keptBecause(base string) string {
	if _, err := os.Stat(base + ".keep"); !errors.Is(err, fs.ErrNotExist) && !isOurs(base+".keep") {
		return "its .keep file, which is not ours, asks for it"
	}
	if _, err := os.Stat(base + ".promisor"); !errors.Is(err, fs.ErrNotExist) {
		return "it belongs to a partial clone"
	}
	return ""
}

// rewrite writes a pack anew without the doomed objects, which it adds to gone,
// and returns the new one's path without extension, "" if nothing is left.
func (r *Repository) rewrite(ctx context.Context, p *ownPack, doomed, gone map[Hash]bool) (string, error) {
	rest := make(map[Hash]bool)
	if err := p.names(func(h Hash) {
		if doomed[h] {
			gone[h] = true
		} else {
			rest[h] = true
		}
	}); err != nil {
		return "", err
	}
	if !isOurs(p.path + ".keep") {
		return r.repackForGit(ctx, rest, p.path)
	}
	if err := p.stat(); err != nil {
		return "", err
	}
	base, err := r.repack(ctx, rest)
	if err != nil || base == "" || !p.used {
		return base, err
	}
	// What tells that git counts on an object of the pack is that its time is not
	// its mark's; see publish.
	info, err := os.Stat(p.path + ".pack")
	if err != nil {
		return "", err
	}
	return base, os.Chtimes(base+".pack", info.ModTime(), info.ModTime())
}

// repackForGit writes objects as one durable pack without our mark, with the
// times of the one it is to replace: git judges by them what it may drop.
func (r *Repository) repackForGit(ctx context.Context, objects map[Hash]bool, old string) (string, error) {
	info, err := os.Stat(old + ".pack")
	if err != nil {
		return "", err
	}
	return r.packTo(ctx, objects, func(made, final string) error {
		for _, extension := range []string{".pack", ".idx"} { // the index shows the pack
			if err := os.Chmod(made+extension, info.Mode()); err != nil {
				return err
			}
			if err := os.Chtimes(made+extension, info.ModTime(), info.ModTime()); err != nil {
				return err
			}
			if err := r.disk.rename(made+extension, final+extension); err != nil {
				return err
			}
		}
		return r.disk.syncFolder(filepath.Dir(final))
	})
}

func pathsOf(packs []*ownPack) []string {
	paths := make([]string, len(packs))
	for i, p := range packs {
		paths[i] = p.path
	}
	return paths
}

// packBytes is how much packs and their indexes take on disk; those that are not
// there count nothing.
func packBytes(bases []string) (n int64) {
	for _, base := range bases {
		for _, extension := range []string{".pack", ".idx"} {
			if info, err := os.Stat(base + extension); base != "" && err == nil {
				n += info.Size()
			}
		}
	}
	return n
}
