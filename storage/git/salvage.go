package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// maxSalvage is the size in bytes of a pack whose objects fit into memory.
const maxSalvage = 1 << 30

// Salvage replaces a damaged pack of ours by one with those of its objects that
// are still what they were, and moves its files to the folder aside. It returns
// how many objects were kept and lost. A pack above 1 GiB gives ErrTooLarge.
//
// Nobody may write to the repository meanwhile. The objects are in memory while
// the pack has moved and the new one is not written yet: both may have one name.
func (r *Repository) Salvage(ctx context.Context, path, aside string) (kept, lost int, err error) {
	if info, err := os.Stat(path); err != nil {
		return 0, 0, fmt.Errorf("salvage pack: %w", err)
	} else if info.Size() > maxSalvage {
		return 0, 0, fmt.Errorf("salvage pack %s: %w", path, ErrTooLarge)
	}
	base := strings.TrimSuffix(path, ".pack")
	batch, lost, err := r.readableIn(ctx, base)
	if err != nil {
		return 0, 0, fmt.Errorf("salvage pack: %w", err)
	}
	if err := r.MakeFolder(aside); err != nil {
		return 0, 0, fmt.Errorf("salvage pack: %w", err)
	}
	for _, extension := range []string{".idx", ".pack", ".rev", ".bitmap", ".keep"} {
		err := os.Rename(base+extension, filepath.Join(aside, filepath.Base(base)+extension))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, 0, fmt.Errorf("salvage pack: %w", err)
		}
	}
	if len(batch.order) > 0 {
		err = r.writePack(batch)
	}
	if err := errors.Join(err, r.disk.syncFolder(r.packFolder()), r.disk.syncFolder(aside)); err != nil {
		return 0, 0, fmt.Errorf("salvage pack: %w", err)
	}
	r.objects.forget()
	return len(batch.order), lost, nil
}

// readableIn collects the objects of a pack whose content has the name that the
// index gives it.
func (r *Repository) readableIn(ctx context.Context, base string) (batch *Batch, lost int, err error) {
	batch = r.NewBatch()
	p := &pack{path: base}
	var names []Hash
	if err := p.names(func(h Hash) { names = append(names, h) }); err != nil {
		return batch, 0, nil //nolint:nilerr // without an index nothing in it can be found
	}
	for _, h := range names {
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		offset, found, err := p.find(h)
		if err != nil || !found {
			lost++
			continue
		}
		o, err := packed{pack: p, offset: offset}.read(r.objects)
		if err != nil || Hash(plumbing.ComputeHash(o.kind, o.content)) != h {
			lost++
			continue
		}
		batch.add(o.kind, o.content)
	}
	return batch, lost, nil
}
