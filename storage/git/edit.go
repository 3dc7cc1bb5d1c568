package git

import (
	"fmt"
	"slices"
)

// A TreeEdit sets what is at a path, making folders as needed, or with a Zero
// hash removes it, empty folders with it.
type TreeEdit struct {
	Path string
	Mode Mode
	Hash Hash
}

// EditTree returns the tree base (Zero for an empty one) with edits applied in
// order, the last one for a path counting. Folders that no edit touches keep
// their object. Removing what is not there changes nothing; a path below a file
// replaces the file.
func (b *Batch) EditTree(base Hash, edits []TreeEdit) (Hash, error) {
	root := &folderEdit{}
	for _, edit := range edits {
		parts, err := splitPath(edit.Path)
		if err != nil {
			return Zero, err
		}
		if len(parts) == 0 {
			return Zero, fmt.Errorf("edit tree: empty path")
		}
		root.add(parts, edit)
	}
	h, err := b.applyEdit(base, root)
	if err != nil {
		return Zero, fmt.Errorf("edit tree: %w", err)
	}
	if h.IsZero() {
		return b.Tree(nil)
	}
	return h, nil
}

// folderEdit is what shall happen in one folder, by name.
type folderEdit struct {
	names map[string]*nameEdit
}

// nameEdit first sets an entry, if it has one, and then edits within it.
type nameEdit struct {
	set    *TreeEdit
	within *folderEdit
	folder bool // something is set within: a file in its place goes
}

func (f *folderEdit) add(parts []string, edit TreeEdit) {
	if f.names == nil {
		f.names = make(map[string]*nameEdit)
	}
	n, ok := f.names[parts[0]]
	if !ok {
		n = &nameEdit{}
		f.names[parts[0]] = n
	}
	if len(parts) == 1 {
		*n = nameEdit{set: &edit} // what came before for this path is undone
		return
	}
	if n.within == nil {
		n.within = &folderEdit{}
	}
	n.folder = n.folder || !edit.Hash.IsZero()
	n.within.add(parts[1:], edit)
}

// applyEdit returns the new tree, Zero when nothing is left in it.
func (b *Batch) applyEdit(base Hash, f *folderEdit) (Hash, error) {
	entries, err := b.tree(base)
	if err != nil {
		return Zero, err
	}
	changed := slices.Clone(entries)
	for name, edit := range f.names {
		i := slices.IndexFunc(changed, func(e TreeEntry) bool { return e.Name == name })
		var old TreeEntry
		if i >= 0 {
			old = changed[i]
			changed = slices.Delete(changed, i, i+1)
		}
		next, err := b.applyName(name, old, edit)
		if err != nil {
			return Zero, err
		}
		if !next.Hash.IsZero() {
			changed = append(changed, next)
		}
	}
	if len(changed) == 0 {
		return Zero, nil
	}
	slices.SortFunc(changed, compareEntries)
	if slices.Equal(changed, entries) {
		return base, nil
	}
	return b.Tree(changed)
}

func (b *Batch) applyName(name string, entry TreeEntry, edit *nameEdit) (TreeEntry, error) {
	entry.Name = name
	if edit.set != nil {
		entry.Mode, entry.Hash = edit.set.Mode, edit.set.Hash
	}
	if edit.within == nil {
		return entry, nil
	}
	below := Zero
	if entry.Mode == ModeTree {
		below = entry.Hash
	}
	h, err := b.applyEdit(below, edit.within)
	if err != nil {
		return TreeEntry{}, fmt.Errorf("%s: %w", name, err)
	}
	if entry.Mode != ModeTree && !edit.folder {
		return entry, nil // only removals below a file, or below nothing
	}
	return TreeEntry{Name: name, Mode: ModeTree, Hash: h}, nil
}
