package git

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// notesFrom makes a chain of notes commits in a batch.
func notesFrom(t testing.TB, b *Batch, tip Hash, lines map[Hash][]string) Hash {
	t.Helper()
	h, err := b.AddNoteLines(tip, lines, spec(Zero, "n"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func stored(t testing.TB, r *Repository, b *Batch, ref string, old, h Hash) {
	t.Helper()
	if err := r.Write(t.Context(), b, []RefUpdate{{ref, old, h}}); err != nil {
		t.Fatal(err)
	}
}

// merged merges two stored notes commits and stores the result as the notes.
func merged(t testing.TB, r *Repository, m NotesMerge) (Hash, int) {
	t.Helper()
	b := r.NewBatch()
	m.Spec = spec(Zero, "merge")
	h, dropped, err := b.MergeNotes(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	old := m.Ours
	if h != old {
		stored(t, r, b, notesRef, old, h)
	}
	return h, dropped
}

func TestMergeNotes(t *testing.T) {
	r, dir := newBare(t)
	one, two, three := numbered(1), numbered(2), numbered(3)
	b := r.NewBatch()
	base := notesFrom(t, b, Zero, map[Hash][]string{one: {"z", "a"}})
	ours := notesFrom(t, b, base, map[Hash][]string{one: {"ours"}, two: {"b"}})
	theirs := notesFrom(t, b, base, map[Hash][]string{one: {"theirs"}, three: {"d", "c"}})
	if err := r.Write(t.Context(), b, []RefUpdate{{notesRef, Zero, ours}, {"refs/copies/theirs", Zero, theirs}}); err != nil {
		t.Fatal(err)
	}
	m, dropped := merged(t, r, NotesMerge{Ours: ours, Theirs: theirs})
	c, err := r.Commit(m)
	if err != nil || dropped != 0 || !slices.Equal(c.Parents, []Hash{ours, theirs}) {
		t.Errorf("merge has parents %v, %d dropped, %v; want both sides", c.Parents, dropped, err)
	}
	for h, want := range map[Hash]string{one: "a\nours\ntheirs\nz\n", two: "b\n", three: "d\nc\n"} {
		if got := cli(t, dir, "notes", "--ref=velocity", "show", h.String()); got+"\n" != want {
			t.Errorf("git notes show %s = %q, want %q", h, got, want)
		}
	}
	for _, same := range []struct{ ours, theirs, want Hash }{
		{m, ours, m}, {ours, m, m}, {theirs, m, m}, {m, theirs, m}, {m, m, m}, {Zero, m, m}, {base, theirs, theirs},
	} {
		got, _, err := r.NewBatch().MergeNotes(t.Context(), NotesMerge{Ours: same.ours, Theirs: same.theirs})
		if got != same.want || err != nil {
			t.Errorf("MergeNotes(%s, %s) = %s, %v; want %s without a commit", same.ours, same.theirs, got, err, same.want)
		}
	}
	fsck(t, dir)
}

// TestMergeNotesKeep leaves out what is forged, also where their history is ahead
// of ours, and never loses a line of ours.
func TestMergeNotesKeep(t *testing.T) {
	r, dir := newBare(t)
	one, two := numbered(1), numbered(2)
	b := r.NewBatch()
	ours := notesFrom(t, b, Zero, map[Hash][]string{one: {"own 1", "more"}})
	forged := notesFrom(t, b, ours, map[Hash][]string{one: {"own 2", "hers"}, two: {"own 3"}})
	empty := b.Commit(spec(tree(t, b), "all gone", ours))
	if err := r.Write(t.Context(), b, []RefUpdate{
		{notesRef, Zero, ours}, {"refs/copies/forged", Zero, forged}, {"refs/copies/empty", Zero, empty},
	}); err != nil {
		t.Fatal(err)
	}
	keep := func(_ Hash, line string) bool { return !strings.HasPrefix(line, "own ") }
	m, dropped := merged(t, r, NotesMerge{Ours: ours, Theirs: forged, Keep: keep})
	if dropped != 2 {
		t.Errorf("%d lines dropped, want 2", dropped)
	}
	if note, err := r.Note(notesRef, one); string(note) != "hers\nmore\nown 1\n" || err != nil {
		t.Errorf("note = %q, %v", note, err)
	}
	if note, err := r.Note(notesRef, two); err == nil {
		t.Errorf("a forged note was taken: %q", note)
	}
	after, _ := merged(t, r, NotesMerge{Ours: m, Theirs: empty, Keep: keep})
	if note, err := r.Note(notesRef, one); string(note) != "hers\nmore\nown 1\n" || err != nil {
		t.Errorf("note after a merge with none = %q, %v", note, err)
	}
	f, _ := merged(t, r, NotesMerge{Ours: after, Theirs: forged, Forget: true})
	if c, err := r.Commit(f); err != nil || !slices.Equal(c.Parents, []Hash{after}) {
		t.Errorf("a merge that forgets has parents %v, %v; want ours", c.Parents, err)
	}
	fsck(t, dir)
}

func tree(t testing.TB, b *Batch) Hash {
	t.Helper()
	h, err := b.Tree(nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestMergeNotesAnyway: whatever both sides hold and however they fan out, the
// merge has the lines of both, and so has the merge the other way.
func TestMergeNotesAnyway(t *testing.T) {
	r, _ := newBare(t)
	tip := Zero
	rapid.Check(t, func(rt *rapid.T) {
		b := r.NewBatch()
		start := notesFrom(t, b, Zero, map[Hash][]string{numbered(rapid.IntRange(0, 1<<30).Draw(rt, "start")): {"s"}})
		ours := drawNotes(rt, t, b, start, "ours")
		theirs := drawNotes(rt, t, b, start, "theirs")
		keep := b.Commit(spec(tree(t, b), "both", ours, theirs)) // so that both are stored
		stored(t, r, b, "refs/copies/all", tip, keep)
		tip = keep

		got := mergeAll(rt, t, r, ours, theirs)
		other := mergeAll(rt, t, r, theirs, ours)
		want := make(map[Hash][]string)
		for _, side := range []Hash{ours, theirs} {
			for h, lines := range notesOf(rt, b, side) {
				want[h] = slices.Compact(slices.Sorted(slices.Values(append(want[h], lines...))))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("merge (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, other); diff != "" {
			rt.Fatalf("merge the other way (-want +got):\n%s", diff)
		}
	})
}

func drawNotes(rt *rapid.T, t *testing.T, b *Batch, tip Hash, side string) Hash {
	for range rapid.IntRange(1, 3).Draw(rt, side+" commits") {
		lines := make(map[Hash][]string)
		for range rapid.IntRange(1, 150).Draw(rt, side+" notes") {
			h := numbered(rapid.IntRange(0, 200).Draw(rt, "object"))
			h[0] &= 0x1f
			lines[h] = append(lines[h], fmt.Sprint("line ", rapid.IntRange(0, 3).Draw(rt, "line")))
		}
		tip = notesFrom(t, b, tip, lines)
	}
	return tip
}

// mergeAll merges and returns the notes of the result, their lines sorted.
func mergeAll(rt *rapid.T, t *testing.T, r *Repository, ours, theirs Hash) map[Hash][]string {
	b := r.NewBatch()
	m, _, err := b.MergeNotes(t.Context(), NotesMerge{Ours: ours, Theirs: theirs, Spec: spec(Zero, "m")})
	if err != nil {
		rt.Fatal(err)
	}
	return notesOf(rt, b, m)
}

func notesOf(rt *rapid.T, b *Batch, commit Hash) map[Hash][]string {
	root, err := b.rootTree(commit)
	if err != nil {
		rt.Fatal(err)
	}
	notes := make(map[Hash][]string)
	collectNotes(rt, b, root, "", notes)
	for _, h := range slices.Collect(maps.Keys(notes)) {
		slices.Sort(notes[h])
	}
	return notes
}

// TestMergeNotesBomb: folders that name one another many times are not followed
// for ever.
func TestMergeNotesBomb(t *testing.T) {
	r, _ := newBare(t)
	b := r.NewBatch()
	h, err := b.Tree([]TreeEntry{{Name: strings.Repeat("0", 2*hashSize-2*6), Mode: ModeFile, Hash: b.Blob([]byte("x\n"))}})
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		var entries []TreeEntry
		for i := range 256 {
			entries = append(entries, TreeEntry{Name: fmt.Sprintf("%02x", i), Mode: ModeTree, Hash: h})
		}
		if h, err = b.Tree(entries); err != nil {
			t.Fatal(err)
		}
	}
	bomb := b.Commit(spec(h, "bomb"))
	stored(t, r, b, "refs/copies/bomb", Zero, bomb)
	if _, _, err := r.NewBatch().MergeNotes(t.Context(), NotesMerge{Theirs: bomb}); err == nil {
		t.Error("MergeNotes read 256^6 notes")
	}
}
