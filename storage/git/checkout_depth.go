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

// CheckoutDepth is Checkout, or with own CheckoutOwn, as `git clone --depth` would
// make it: of the history there are depth commits (a merge counts once, whatever
// is merged goes on side by side), and of the branches and tags those that point
// to one of them. A depth of 0 is the whole history.
func (r *Repository) CheckoutDepth(ctx context.Context, dir string, commit Hash, depth int, own bool) error {
	switch {
	case depth <= 0 && own:
		return r.CheckoutOwn(ctx, dir, commit)
	case depth <= 0:
		return r.Checkout(ctx, dir, commit)
	}
	made, err := emptyFolder(dir)
	if err == nil {
		if err = r.Checkout(ctx, dir, commit); err == nil {
			err = r.shorten(filepath.Join(dir, ".git"), commit, depth)
		}
		if err == nil && own {
			err = r.detach(ctx, filepath.Join(dir, ".git")) // which copies no more than there is now
		}
		if err != nil {
			err = errors.Join(err, clear(dir, made))
		}
	}
	if err != nil {
		return fmt.Errorf("check out %d commits of %s: %w", depth, commit, err)
	}
	return nil
}

// shorten ends the history that a workspace's git sees.
func (r *Repository) shorten(gitDir string, commit Hash, depth int) error {
	ends, err := r.shallow()
	if err != nil {
		return err
	}
	seen := map[Hash]bool{commit: true}
	next := []Hash{commit}
	for left := depth; len(next) > 0; left-- {
		level := next
		next = nil
		for _, h := range level {
			c, err := r.Commit(h)
			if err != nil {
				return err
			}
			if left == 1 && len(c.Parents) > 0 {
				ends[h] = true
			}
			if ends[h] {
				continue
			}
			for _, parent := range c.Parents {
				if !seen[parent] {
					seen[parent] = true
					next = append(next, parent)
				}
			}
		}
	}
	if err := writeShallow(gitDir, ends, seen); err != nil {
		return err
	}
	refs, err := r.workspaceRefs(func(ref Ref) bool {
		h, err := r.Peel(ref.Hash)
		return err == nil && seen[h] // what is no commit is no part of the history
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(gitDir, "packed-refs"), refs, 0o666)
}

// shallow are the commits at which r's own history ends.
func (r *Repository) shallow() (map[Hash]bool, error) {
	ends := map[Hash]bool{}
	data, err := os.ReadFile(filepath.Join(r.commonDir, "shallow"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.FieldsSeq(string(data)) {
		h, err := ParseHash(line)
		if err != nil {
			return nil, fmt.Errorf("read where the history ends: %w", err)
		}
		ends[h] = true
	}
	return ends, nil
}

// writeShallow names the ends among the commits that were seen.
func writeShallow(gitDir string, ends, seen map[Hash]bool) error {
	var lines []string
	for h := range ends {
		if seen[h] {
			lines = append(lines, h.String()+"\n")
		}
	}
	path := filepath.Join(gitDir, "shallow")
	if len(lines) == 0 { // the whole history is no longer than that
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	slices.Sort(lines)
	var b bytes.Buffer
	for _, line := range lines {
		b.WriteString(line)
	}
	return os.WriteFile(path, b.Bytes(), 0o666)
}
