package git

import (
	"bytes"
	"fmt"
	"io/fs"

	"github.com/go-git/go-git/v5/plumbing"
)

// A missing path gives an error that is fs.ErrNotExist, a missing object one
// that is ErrObjectNotFound. The two differ: only the second means damage.

// Commit reads the commit h.
func (r *Repository) Commit(h Hash) (Commit, error) {
	content, err := r.typed(h, plumbing.CommitObject)
	if err != nil {
		return Commit{}, err
	}
	return parseCommit(h, content)
}

// peelDepth bounds how many tags may point to one another.
const peelDepth = 16

// Peel follows annotated tags from h to a commit and returns the commit's name.
func (r *Repository) Peel(h Hash) (Hash, error) {
	for range peelDepth {
		o, err := r.objects.get(h)
		if err != nil {
			return Zero, err
		}
		switch o.kind {
		case plumbing.CommitObject:
			return h, nil
		case plumbing.TagObject:
			if h, err = parseTag(h, o.content); err != nil {
				return Zero, err
			}
		default:
			return Zero, fmt.Errorf("%s is a %s, not a commit", h, o.kind)
		}
	}
	return Zero, fmt.Errorf("%s: more than %d tags deep", h, peelDepth)
}

// ReadBlob returns the content of blob h, or ErrTooLarge above limit bytes.
func (r *Repository) ReadBlob(h Hash, limit int64) ([]byte, error) {
	size, err := r.objects.size(h)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("object %s: %w: %d bytes, at most %d", h, ErrTooLarge, size, limit)
	}
	content, err := r.typed(h, plumbing.BlobObject)
	return bytes.Clone(content), err
}

// BlobSize returns the length of blob h in bytes without reading all of it.
func (r *Repository) BlobSize(h Hash) (int64, error) { return r.objects.size(h) }

// ReadFile returns the regular file at path in a commit or tree, or ErrTooLarge
// above limit bytes. Symbolic links are not followed.
func (r *Repository) ReadFile(commit Hash, path string, limit int64) ([]byte, error) {
	entry, err := r.Entry(commit, path)
	if err != nil {
		return nil, err
	}
	if !entry.Mode.IsFile() {
		return nil, fmt.Errorf("%s at %s is not a regular file", path, commit)
	}
	content, err := r.ReadBlob(entry.Hash, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return content, nil
}

// Entry returns what is at path in a commit or tree; "" is the tree itself.
func (r *Repository) Entry(commit Hash, path string) (TreeEntry, error) {
	entry, err := r.root(commit)
	if err != nil {
		return TreeEntry{}, err
	}
	parts, err := splitPath(path)
	if err != nil {
		return TreeEntry{}, err
	}
	for _, part := range parts {
		child, err := r.child(entry, part)
		if err != nil {
			return TreeEntry{}, fmt.Errorf("%s at %s: %w", path, commit, err)
		}
		entry = child
	}
	return entry, nil
}

func (r *Repository) child(parent TreeEntry, name string) (TreeEntry, error) {
	if parent.Mode != ModeTree {
		return TreeEntry{}, fs.ErrNotExist
	}
	entries, err := r.tree(parent.Hash)
	if err != nil {
		return TreeEntry{}, err
	}
	for _, entry := range entries {
		if entry.Name == name {
			return entry, nil
		}
	}
	return TreeEntry{}, fs.ErrNotExist
}

// List returns the entries of the folder at path in a commit or tree, in git's
// order; "" is the root.
func (r *Repository) List(commit Hash, path string) ([]TreeEntry, error) {
	entry, err := r.Entry(commit, path)
	if err != nil {
		return nil, err
	}
	if entry.Mode != ModeTree {
		return nil, fmt.Errorf("%s at %s is not a folder: %w", path, commit, fs.ErrNotExist)
	}
	return r.tree(entry.Hash)
}

// Walk returns all entries below the folder at path that are not folders, by
// their path from it, in git's order; more than limit give ErrTooLarge.
func (r *Repository) Walk(commit Hash, path string, limit int) ([]TreeEntry, error) {
	entries, err := r.List(commit, path)
	if err != nil {
		return nil, err
	}
	var files []TreeEntry
	if err := r.walk(entries, "", limit, &files); err != nil {
		return nil, fmt.Errorf("%s at %s: %w", path, commit, err)
	}
	return files, nil
}

func (r *Repository) walk(entries []TreeEntry, prefix string, limit int, files *[]TreeEntry) error {
	for _, entry := range entries {
		entry.Name = prefix + entry.Name
		if entry.Mode != ModeTree {
			if len(*files) == limit {
				return fmt.Errorf("%w: more than %d files", ErrTooLarge, limit)
			}
			*files = append(*files, entry)
			continue
		}
		below, err := r.tree(entry.Hash)
		if err != nil {
			return err
		}
		if err := r.walk(below, entry.Name+"/", limit, files); err != nil {
			return err
		}
	}
	return nil
}

// root returns the tree of h, a commit, a tag of one, or a tree.
func (r *Repository) root(h Hash) (TreeEntry, error) {
	o, err := r.objects.get(h)
	if err != nil {
		return TreeEntry{}, err
	}
	if o.kind == plumbing.TreeObject {
		return TreeEntry{Mode: ModeTree, Hash: h}, nil
	}
	commit, err := r.Peel(h)
	if err != nil {
		return TreeEntry{}, err
	}
	c, err := r.Commit(commit)
	return TreeEntry{Mode: ModeTree, Hash: c.Tree}, err
}

func (r *Repository) tree(h Hash) ([]TreeEntry, error) {
	content, err := r.typed(h, plumbing.TreeObject)
	if err != nil {
		return nil, err
	}
	return parseTree(h, content)
}

// typed returns the content of h, which must be of the given type.
func (r *Repository) typed(h Hash, kind plumbing.ObjectType) ([]byte, error) {
	o, err := r.objects.get(h)
	if err != nil {
		return nil, err
	}
	if o.kind != kind {
		return nil, fmt.Errorf("object %s is a %s, not a %s", h, o.kind, kind)
	}
	return o.content, nil
}
