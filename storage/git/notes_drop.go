package git

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// DropNoteLines returns a notes commit without history whose notes lack the lines
// that drop chooses; Zero when no note is left. Notes that become empty go, all
// else in the tree stays, git's fanout included. When notes has no history and no
// such line, the result is notes itself. spec's tree and parents are set here.
func (b *Batch) DropNoteLines(notes Hash, drop func(line []byte) bool, spec CommitSpec) (Hash, error) {
	c, err := b.r.Commit(notes)
	if err != nil {
		return Zero, fmt.Errorf("drop note lines: %w", err)
	}
	tree, err := b.dropNotes(c.Tree, hexSize, drop)
	if err != nil {
		return Zero, fmt.Errorf("drop note lines: %w", err)
	}
	switch {
	case tree.IsZero():
		return Zero, nil
	case tree == c.Tree && len(c.Parents) == 0:
		return notes, nil
	}
	spec.Parents, spec.Tree = nil, tree
	return b.Commit(spec), nil
}

// dropNotes returns a folder of notes, named by digits hex digits each, without
// the dropped lines; Zero when it is empty.
func (b *Batch) dropNotes(base Hash, digits int, drop func(line []byte) bool) (Hash, error) {
	entries, err := b.tree(base)
	if err != nil {
		return Zero, err
	}
	var kept []TreeEntry
	for _, entry := range entries {
		next := entry
		switch {
		case entry.isNote(digits):
			next.Hash, err = b.dropLines(entry.Hash, drop)
		case digits > 2 && entry.Mode == ModeTree && len(entry.Name) == 2 && isHex(entry.Name):
			next.Hash, err = b.dropNotes(entry.Hash, digits-2, drop)
		}
		if err != nil {
			return Zero, fmt.Errorf("%s: %w", entry.Name, err)
		}
		if !next.Hash.IsZero() {
			kept = append(kept, next)
		}
	}
	switch {
	case len(kept) == 0:
		return Zero, nil
	case slices.Equal(kept, entries):
		return base, nil
	}
	return b.Tree(kept)
}

// dropLines returns a note without the dropped lines; Zero when none is left, and
// the note itself when none was dropped.
func (b *Batch) dropLines(note Hash, drop func(line []byte) bool) (Hash, error) {
	text, err := b.r.typed(note, plumbing.BlobObject)
	if err != nil {
		return Zero, err
	}
	var kept []byte
	for line := range bytes.Lines(text) {
		if !drop(bytes.TrimSuffix(line, []byte("\n"))) {
			kept = append(kept, line...)
		}
	}
	switch len(kept) {
	case len(text):
		return note, nil
	case 0:
		return Zero, nil
	}
	return b.Blob(kept), nil
}
