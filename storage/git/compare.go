package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// A Selection picks files by their path in a tree.
type Selection interface {
	Selects(path string) bool
	// Reaches reports whether a file below dir may be picked, and Covers whether all
	// of them surely are; "" is the root.
	Reaches(dir string) bool
	Covers(dir string) bool
}

// Differ reports whether a selected file was added, removed or changed between
// two commits or trees; Zero stands for the empty tree. It reads only folders in
// which something differs.
func (r *Repository) Differ(from, to Hash, s Selection) (bool, error) {
	c := comparison{repo: r, selection: s}
	left, err := c.start(from)
	if err != nil {
		return false, err
	}
	right, err := c.start(to)
	if err != nil {
		return false, err
	}
	return c.differ("", left, right)
}

// A comparison looks for a selected difference.
type comparison struct {
	repo      *Repository
	selection Selection
}

// start is the tree to begin with.
func (c *comparison) start(h Hash) (TreeEntry, error) {
	if h.IsZero() {
		return TreeEntry{}, nil
	}
	return c.repo.root(h)
}

// differ compares what lies at one path on both sides; a zero entry is nothing.
func (c *comparison) differ(path string, a, b TreeEntry) (bool, error) {
	if a.Mode == b.Mode && a.Hash == b.Hash {
		return false, nil
	}
	for _, side := range []TreeEntry{a, b} {
		if side.Mode != 0 && side.Mode != ModeTree && c.selection.Selects(path) {
			return true, nil
		}
	}
	if a.Mode != ModeTree && b.Mode != ModeTree || !c.selection.Reaches(path) {
		return false, nil
	}
	return c.folders(path, a, b)
}

// folders compares the entries of folders; a side that is no folder has none.
func (c *comparison) folders(path string, a, b TreeEntry) (bool, error) {
	left, err := c.entries(a)
	if err != nil {
		return false, err
	}
	right, err := c.entries(b)
	if err != nil {
		return false, err
	}
	for name, one := range left {
		if found, err := c.differ(join(path, name), one, right[name]); found || err != nil {
			return found, err
		}
	}
	for name, other := range right {
		if _, both := left[name]; both {
			continue
		}
		if found, err := c.differ(join(path, name), TreeEntry{}, other); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (c *comparison) entries(e TreeEntry) (map[string]TreeEntry, error) {
	if e.Mode != ModeTree {
		return nil, nil
	}
	list, err := c.repo.tree(e.Hash)
	if err != nil {
		return nil, err
	}
	entries := make(map[string]TreeEntry, len(list))
	for _, entry := range list {
		entries[entry.Name] = entry
	}
	return entries, nil
}

func join(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}

// Digest stands for the selected files of a commit or tree: their paths, modes
// and contents, in hex. Equal ones have equal digests under equal selections, in
// any repository. Folders that are covered as a whole are not read.
func (r *Repository) Digest(commit Hash, s Selection) (string, error) {
	root, err := r.root(commit)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	d := digest{repo: r, selection: s, out: sum}
	if err := d.add("", root); err != nil {
		return "", fmt.Errorf("digest of %s: %w", commit, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

type digest struct {
	repo      *Repository
	selection Selection
	out       io.Writer // a sum, which takes everything
}

func (d *digest) add(path string, e TreeEntry) error {
	switch {
	case e.Mode != ModeTree:
		if d.selection.Selects(path) {
			d.note(path, e)
		}
		return nil
	case !d.selection.Reaches(path):
		return nil
	case d.selection.Covers(path):
		d.note(path, e)
		return nil
	}
	entries, err := d.repo.tree(e.Hash)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := d.add(join(path, entry.Name), entry); err != nil {
			return err
		}
	}
	return nil
}

// note adds a line, as `git ls-tree -z` would print it.
func (d *digest) note(path string, e TreeEntry) {
	fmt.Fprintf(d.out, "%06o %s\t%s\x00", e.Mode, e.Hash, path)
}

// MergeBase is the best common ancestor of two commits, Zero if they have none.
func (r *Repository) MergeBase(ctx context.Context, a, b Hash) (Hash, error) {
	out, err := r.git(ctx, "merge-base", a.String(), b.String())
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return Zero, nil
	}
	if err != nil {
		return Zero, fmt.Errorf("find merge base: %w", err)
	}
	return ParseHash(strings.TrimSpace(string(out)))
}

// Ancestors lists the commits that lead to c, without c itself, the newest first
// by the time they were made and at most limit of them. A history that is cut off,
// as in a shallow clone, just ends.
func (r *Repository) Ancestors(c Hash, limit int) ([]Hash, error) {
	first, err := r.Commit(c)
	if err != nil {
		return nil, err
	}
	seen := map[Hash]bool{c: true}
	var found []Hash
	todo := []Commit{first}
	for len(todo) > 0 && len(found) < limit {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if next.Hash != c {
			found = append(found, next.Hash)
		}
		for _, parent := range next.Parents {
			if seen[parent] {
				continue
			}
			seen[parent] = true
			p, err := r.Commit(parent)
			if errors.Is(err, ErrObjectNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			at, _ := slices.BinarySearchFunc(todo, p, func(a, b Commit) int { return a.Committed.Compare(b.Committed) })
			todo = slices.Insert(todo, at, p)
		}
	}
	return found, nil
}
