package git

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// A notes tree maps objects to blobs: an entry's path is the object's 40 hex
// digits, with slashes after the first pairs once there are many notes. How many
// slashes (git's fanout) may differ between parts of the tree; a reader descends
// while it finds folders of two digits.

// Note returns the note that a notes ref holds for object, or an error that is
// fs.ErrNotExist. ErrRefNotFound means that there are no notes at all.
func (r *Repository) Note(ref string, object Hash) ([]byte, error) {
	tip, err := r.Ref(ref)
	if err != nil {
		return nil, err
	}
	c, err := r.Commit(tip)
	if err != nil {
		return nil, err
	}
	tree, rest := c.Tree, object.String()
	for {
		entries, err := r.tree(tree)
		if err != nil {
			return nil, err
		}
		folder := noteFolder(entries)
		if i := folder.note(rest); i >= 0 {
			content, err := r.typed(entries[i].Hash, plumbing.BlobObject)
			return bytes.Clone(content), err
		}
		i := folder.folder(rest)
		if i < 0 {
			return nil, fmt.Errorf("note for %s in %s: %w", object, ref, fs.ErrNotExist)
		}
		tree, rest = entries[i].Hash, rest[2:]
	}
}

// AddNoteLines adds lines to the notes of objects and returns the new notes
// commit, whose parent is notes (Zero for the first one); spec's tree and parents
// are set here. An object's note becomes the union of its lines and the new ones
// in order; when nothing is new the result is notes itself.
//
// The tree keeps git's fanout and all else that is in it.
func (b *Batch) AddNoteLines(notes Hash, lines map[Hash][]string, spec CommitSpec) (Hash, error) {
	spec.Parents = nil
	base := Zero
	if !notes.IsZero() {
		var err error
		if base, err = b.rootTree(notes); err != nil {
			return Zero, fmt.Errorf("add notes: %w", err)
		}
		spec.Parents = []Hash{notes}
	}
	additions := make(map[string]noteEdit, len(lines))
	for object, added := range lines {
		if slices.ContainsFunc(added, func(line string) bool { return strings.ContainsAny(line, "\n\x00") || line == "" }) {
			return Zero, errors.New("add notes: a line is empty or holds a line break or NUL")
		}
		if len(added) > 0 {
			additions[object.String()] = func(old []byte) []byte { return union(old, added) }
		}
	}
	tree, err := b.editNotes(base, additions)
	if err != nil {
		return Zero, fmt.Errorf("add notes: %w", err)
	}
	if tree == base {
		return notes, nil
	}
	spec.Tree = tree
	return b.Commit(spec), nil
}

// noteFolder is one folder of a notes tree.
type noteFolder []TreeEntry

// note returns the index of the note whose remaining digits are rest, or -1.
func (f noteFolder) note(rest string) int {
	return slices.IndexFunc(f, func(e TreeEntry) bool { return e.Mode != ModeTree && e.Name == rest })
}

// folder returns the index of the folder that rest belongs into, or -1.
func (f noteFolder) folder(rest string) int {
	if len(rest) <= 2 {
		return -1
	}
	return slices.IndexFunc(f, func(e TreeEntry) bool { return e.Mode == ModeTree && e.Name == rest[:2] })
}

func (f noteFolder) fannedOut() bool {
	return slices.ContainsFunc(f, func(e TreeEntry) bool { return e.Mode == ModeTree && len(e.Name) == 2 && isHex(e.Name) })
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// A noteEdit makes a note's next content from the one it has, nil if there is none.
type noteEdit func(old []byte) []byte

// editNotes returns base with notes edited; keys are the digits that remain below
// this folder.
func (b *Batch) editNotes(base Hash, edits map[string]noteEdit) (Hash, error) {
	if len(edits) == 0 {
		return base, nil
	}
	entries, err := b.tree(base)
	if err != nil {
		return Zero, err
	}
	folder := slices.Clone(noteFolder(entries))
	deeper := make(map[string]map[string]noteEdit)
	fanned := folder.fannedOut()
	for _, rest := range slices.Sorted(maps.Keys(edits)) {
		i := folder.note(rest)
		if fanned && i < 0 { // a note that is here stays here: git reads both
			if deeper[rest[:2]] == nil {
				deeper[rest[:2]] = make(map[string]noteEdit)
			}
			deeper[rest[:2]][rest[2:]] = edits[rest]
			continue
		}
		if folder, err = b.editNote(folder, i, rest, edits[rest]); err != nil {
			return Zero, err
		}
	}
	for _, pair := range slices.Sorted(maps.Keys(deeper)) {
		if folder, err = b.editBelow(folder, pair, deeper[pair]); err != nil {
			return Zero, err
		}
	}
	if slices.Equal(folder, entries) {
		return base, nil
	}
	if !fanned {
		return b.fanOut(folder, digitsIn(edits))
	}
	return b.Tree(folder)
}

// editNote edits the i-th entry, or makes a new one when i is negative.
func (b *Batch) editNote(folder noteFolder, i int, name string, edit noteEdit) (noteFolder, error) {
	if i < 0 {
		return append(folder, TreeEntry{Name: name, Mode: ModeFile, Hash: b.Blob(edit(nil))}), nil
	}
	old, err := b.blob(folder[i].Hash)
	if err != nil {
		return nil, err
	}
	if next := edit(old); !bytes.Equal(old, next) {
		folder[i].Hash = b.Blob(next)
	}
	return folder, nil
}

// editBelow edits notes in the folder named by a pair of digits.
func (b *Batch) editBelow(folder noteFolder, pair string, edits map[string]noteEdit) (noteFolder, error) {
	i := slices.IndexFunc(folder, func(e TreeEntry) bool { return e.Name == pair })
	below := Zero
	if i >= 0 && folder[i].Mode == ModeTree {
		below = folder[i].Hash
	}
	h, err := b.editNotes(below, edits)
	if err != nil {
		return nil, err
	}
	if i < 0 {
		return append(folder, TreeEntry{Name: pair, Mode: ModeTree, Hash: h}), nil
	}
	folder[i] = TreeEntry{Name: pair, Mode: ModeTree, Hash: h}
	return folder, nil
}

// digitsIn is how many digits name a note in this folder: the same for all.
func digitsIn(edits map[string]noteEdit) int {
	for rest := range edits {
		return len(rest)
	}
	return 0
}

// isNote tells notes, named by the digits that remain, from what else a tree may hold.
func (e TreeEntry) isNote(digits int) bool {
	return e.Mode != ModeTree && len(e.Name) == digits && isHex(e.Name)
}

// crowded is git's rule for one more level of folders: every next digit occurs
// at least twice.
func (f noteFolder) crowded(digits int) bool {
	var seen [256]int
	for _, entry := range f {
		if entry.isNote(digits) {
			seen[entry.Name[0]]++
		}
	}
	for _, digit := range []byte("0123456789abcdef") {
		if seen[digit] < 2 {
			return false
		}
	}
	return true
}

// fanOut writes a folder without folders of notes. If it is crowded, its notes
// move into folders by their next two digits.
func (b *Batch) fanOut(folder noteFolder, digits int) (Hash, error) {
	if !folder.crowded(digits) {
		return b.Tree(folder)
	}
	pairs := make(map[string]noteFolder)
	var out []TreeEntry
	for _, entry := range folder {
		if !entry.isNote(digits) {
			out = append(out, entry)
			continue
		}
		pair := entry.Name[:2]
		entry.Name = entry.Name[2:]
		pairs[pair] = append(pairs[pair], entry)
	}
	for _, pair := range slices.Sorted(maps.Keys(pairs)) {
		h, err := b.fanOut(pairs[pair], digits-2)
		if err != nil {
			return Zero, err
		}
		out = append(out, TreeEntry{Name: pair, Mode: ModeTree, Hash: h})
	}
	return b.Tree(out)
}

// union appends the lines that old lacks.
func union(old []byte, lines []string) []byte {
	seen := make(map[string]bool)
	for line := range strings.Lines(string(old)) {
		seen[strings.TrimSuffix(line, "\n")] = true
	}
	out := bytes.Clone(old)
	for _, line := range lines {
		if seen[line] {
			continue
		}
		seen[line] = true
		if len(out) > 0 && out[len(out)-1] != '\n' {
			out = append(out, '\n')
		}
		out = append(out, line+"\n"...)
	}
	return out
}
