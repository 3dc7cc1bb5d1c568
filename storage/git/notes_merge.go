package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// A NotesMerge joins the notes of another repository with ours.
type NotesMerge struct {
	Ours, Theirs Hash // notes commits; Ours may be Zero
	// Keep tells whether a line of theirs that our note lacks may be taken; nil
	// takes all.
	Keep func(object Hash, line string) bool
	// Forget leaves their commit out of the history, so that what it holds beside
	// its lines does not stay.
	Forget bool
	Spec   CommitSpec // of the merge; tree and parents are set
}

// MergeNotes returns the notes commit that holds the lines of both sides, and how
// many of their lines were not taken. Where both have a note and they differ, it
// becomes their lines sorted, each once, as git's cat_sort_uniq does: so it does
// not matter who merges with whom. A line that we have is never lost. The result
// is Ours or Theirs where that does, else a merge of both.
//
// Subtrees that are equal are not read; fanouts may differ.
func (b *Batch) MergeNotes(ctx context.Context, m NotesMerge) (merged Hash, dropped int, err error) {
	if m.Theirs == m.Ours {
		return m.Ours, 0, nil
	}
	c := &noteComparison{b: b, keep: m.Keep, left: maxNoteEntries}
	if err := c.compare(m.Ours, m.Theirs); err != nil {
		return Zero, 0, fmt.Errorf("merge notes: %w", err)
	}
	merged, err = b.mergeNotes(ctx, m, c)
	if err != nil {
		return Zero, 0, fmt.Errorf("merge notes: %w", err)
	}
	return merged, c.dropped, nil
}

func (b *Batch) mergeNotes(ctx context.Context, m NotesMerge, c *noteComparison) (Hash, error) {
	descends, precedes := m.Ours.IsZero(), false
	var err error
	if !descends {
		if descends, err = b.r.IsAncestor(ctx, m.Ours, m.Theirs); err != nil {
			return Zero, err
		}
		if precedes, err = b.r.IsAncestor(ctx, m.Theirs, m.Ours); err != nil {
			return Zero, err
		}
	}
	switch {
	case !c.adds && (precedes || m.Forget):
		return m.Ours, nil
	case !c.lacks && descends && !m.Forget:
		return m.Theirs, nil
	}
	if m.Spec.Tree, err = b.editNotes(c.ours, c.edits); err != nil {
		return Zero, err
	}
	if m.Spec.Tree.IsZero() {
		if m.Spec.Tree, err = b.Tree(nil); err != nil {
			return Zero, err
		}
	}
	m.Spec.Parents = nil
	if !m.Ours.IsZero() {
		m.Spec.Parents = append(m.Spec.Parents, m.Ours)
	}
	if !m.Forget {
		m.Spec.Parents = append(m.Spec.Parents, m.Theirs)
	}
	return b.Commit(m.Spec), nil
}

// treeOf is the tree of a notes commit, Zero for none.
func (b *Batch) treeOf(commit Hash) (Hash, error) {
	if commit.IsZero() {
		return Zero, nil
	}
	return b.rootTree(commit)
}

// IsAncestor reports whether old is in the history of new, or is new.
func (r *Repository) IsAncestor(ctx context.Context, old, new Hash) (bool, error) {
	_, err := r.git(ctx, "merge-base", "--is-ancestor", old.String(), new.String())
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}

// Bounds of what is read of notes that others wrote, far above what honest ones
// have: a tree can name one folder many times.
const (
	maxNoteEntries = 2_000_000
	maxNote        = 4 << 20 // bytes
)

// A noteComparison finds what one notes tree has that another lacks.
type noteComparison struct {
	b    *Batch
	keep func(object Hash, line string) bool
	left int // entries that may still be read

	ours, theirs Hash                // trees
	edits        map[string]noteEdit // what makes ours the merge, by all digits
	adds         bool                // theirs has a line to be taken that ours lacks
	lacks        bool                // theirs lacks a line of ours, or has one not to be taken
	dropped      int                 // lines of theirs that are not to be taken
}

func (c *noteComparison) compare(ours, theirs Hash) (err error) {
	c.edits = make(map[string]noteEdit)
	if c.ours, err = c.b.treeOf(ours); err != nil {
		return err
	}
	if c.theirs, err = c.b.treeOf(theirs); err != nil {
		return err
	}
	left, right := make(noteBlobs), make(noteBlobs)
	if err := c.collect(c.ours, c.theirs, "", left, right); err != nil {
		return err
	}
	objects := make(map[string]bool)
	for object := range left {
		objects[object] = true
	}
	for object := range right {
		objects[object] = true
	}
	for object := range objects {
		if err := c.note(object, left[object], right[object]); err != nil {
			return err
		}
	}
	return nil
}

// noteBlobs are the blobs of notes by all digits of their object. There may be
// several: git reads all of them.
type noteBlobs map[string][]Hash

// collect gathers the notes of two folders, which both stand below prefix, and
// passes over what is equal.
func (c *noteComparison) collect(ours, theirs Hash, prefix string, left, right noteBlobs) error {
	if ours == theirs {
		return nil
	}
	mine, err := c.folder(ours, prefix, left)
	if err != nil {
		return err
	}
	others, err := c.folder(theirs, prefix, right)
	if err != nil {
		return err
	}
	for pair, folder := range mine {
		if err := c.collect(folder, others[pair], prefix+pair, left, right); err != nil {
			return err
		}
		delete(others, pair)
	}
	for pair, folder := range others {
		if err := c.collect(Zero, folder, prefix+pair, left, right); err != nil {
			return err
		}
	}
	return nil
}

// folder adds the notes of one folder and returns its folders by their digits.
func (c *noteComparison) folder(tree Hash, prefix string, notes noteBlobs) (map[string]Hash, error) {
	entries, err := c.b.tree(tree)
	if err != nil {
		return nil, err
	}
	if c.left -= len(entries); c.left < 0 {
		return nil, fmt.Errorf("notes: %w: more than %d entries", ErrTooLarge, maxNoteEntries)
	}
	digits := 2*hashSize - len(prefix)
	folders := make(map[string]Hash)
	for _, e := range entries {
		switch {
		case e.isNote(digits):
			notes[prefix+e.Name] = append(notes[prefix+e.Name], e.Hash)
		case e.Mode == ModeTree && len(e.Name) == 2 && isHex(e.Name) && digits > 2:
			folders[e.Name] = e.Hash
		}
	}
	return folders, nil
}

// note judges the note of one object.
func (c *noteComparison) note(object string, ours, theirs []Hash) error {
	if slices.Equal(ours, theirs) {
		return nil
	}
	mine, err := c.lines(ours)
	if err != nil {
		return err
	}
	others, err := c.lines(theirs)
	if err != nil {
		return err
	}
	h, err := ParseHash(object)
	if err != nil {
		return err
	}
	taken := slices.DeleteFunc(slices.Clone(others), func(line string) bool {
		return c.keep != nil && !slices.Contains(mine, line) && !c.keep(h, line)
	})
	c.dropped += len(others) - len(taken)
	c.adds = c.adds || !within(taken, mine)
	c.lacks = c.lacks || len(taken) < len(others) || !within(mine, others)
	switch {
	case len(taken) == 0: // ours stays
	case len(ours) == 0:
		c.edit(object, taken)
	default:
		joined := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(mine), taken...))))
		if !slices.Equal(joined, mine) {
			c.edit(object, joined)
		}
	}
	return nil
}

// within reports whether all of some lines are among others.
func within(lines, others []string) bool {
	return !slices.ContainsFunc(lines, func(line string) bool { return !slices.Contains(others, line) })
}

// edit lets a note of ours have these lines.
func (c *noteComparison) edit(object string, lines []string) {
	content := []byte(strings.Join(lines, "\n") + "\n")
	c.edits[object] = func([]byte) []byte { return content }
}

// lines reads the lines of a note. Empty ones are how git sets what it appends
// apart, and say nothing.
func (c *noteComparison) lines(blobs []Hash) ([]string, error) {
	var lines []string
	for _, h := range blobs {
		content, err := c.content(h)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(content) {
			if text := strings.TrimSuffix(string(line), "\n"); text != "" {
				lines = append(lines, text)
			}
		}
	}
	return lines, nil
}

func (c *noteComparison) content(h Hash) ([]byte, error) {
	if c.b.holds(h) {
		return c.b.blob(h)
	}
	return c.b.r.ReadBlob(h, maxNote)
}
