package git

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const notesRef = "refs/notes/velocity"

// addNotes writes lines to the notes ref and returns its commit.
func addNotes(t testing.TB, r *Repository, old Hash, lines map[Hash][]string) Hash {
	t.Helper()
	b := r.NewBatch()
	h, err := b.AddNoteLines(old, lines, spec(Zero, "notes"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), b, []RefUpdate{{notesRef, old, h}}); err != nil {
		t.Fatal(err)
	}
	return h
}

// numbered makes an object id that exists nowhere, beginning with the given bytes.
func numbered(i int, start ...byte) Hash {
	h := Hash(sha1.Sum(fmt.Append(nil, i)))
	copy(h[:], start)
	return h
}

// TestNotesFanout grows a notes tree through git's fanouts and checks at each
// that git reads and goes on with it.
func TestNotesFanout(t *testing.T) {
	cases := []struct {
		name  string
		count int
		start []byte // all ids begin so, which fans out the deeper folder alone
		path  string // of a note's file, as digits
	}{
		{"0", 20, nil, `^[0-9a-f]{40}$`},
		{"1", 400, nil, `^[0-9a-f]{2}/[0-9a-f]{38}$`},
		{"2", 400, []byte{0xab}, `^ab/[0-9a-f]{2}/[0-9a-f]{36}$`},
	}
	for _, c := range cases {
		t.Run("fanout "+c.name, func(t *testing.T) {
			r, dir := newWork(t, map[string]string{"a": "1"})
			head := hash(t, cli(t, dir, "rev-parse", "HEAD"))
			want := make(map[Hash]string)
			tip := Zero
			if c.start != nil { // the root must be fanned out before a folder can be
				first := make(map[Hash][]string)
				for i := range 400 {
					first[numbered(1_000_000+i)] = []string{"other"}
				}
				tip = addNotes(t, r, tip, first)
			}
			for i := 0; i < c.count; i += 50 {
				lines := make(map[Hash][]string)
				for j := i; j < min(i+50, c.count); j++ {
					h := numbered(j, c.start...)
					lines[h] = []string{fmt.Sprintf("line %d", j), "second"}
					want[h] = fmt.Sprintf("line %d\nsecond\n", j)
				}
				tip = addNotes(t, r, tip, lines)
			}
			addNotes(t, r, tip, map[Hash][]string{head: {"default: succeeded"}})
			checkNotes(t, r, dir, want)
			if got := cli(t, dir, "log", "-1", "--notes=velocity", "--format=%N"); strings.TrimSpace(got) != "default: succeeded" {
				t.Errorf("git log --notes = %q", got)
			}
			deepest := 0
			for _, path := range strings.Split(cli(t, dir, "ls-tree", "-r", "--name-only", notesRef), "\n") {
				deepest = max(deepest, strings.Count(path, "/"))
			}
			if fmt.Sprint(deepest) != c.name {
				t.Errorf("deepest fanout is %d, want %s", deepest, c.name)
			}
			// git adds to what we wrote, and we to what git wrote.
			cli(t, dir, "notes", "--ref=velocity", "append", "-m", "by git", "HEAD")
			tip = hash(t, cli(t, dir, "rev-parse", notesRef))
			checkNotes(t, r, dir, want)
			addNotes(t, r, tip, map[Hash][]string{head: {"by git", "again"}})
			note, err := r.Note(notesRef, head)
			if string(note) != "default: succeeded\n\nby git\nagain\n" || err != nil {
				t.Errorf("note = %q, %v", note, err)
			}
			checkNotes(t, r, dir, want)
			fsck(t, dir)
		})
	}
}

// checkNotes compares with git notes list and, for some, git notes show.
func checkNotes(t *testing.T, r *Repository, dir string, want map[Hash]string) {
	t.Helper()
	listed := make(map[Hash]bool)
	for line := range strings.SplitSeq(cli(t, dir, "notes", "--ref=velocity", "list"), "\n") {
		_, object, _ := strings.Cut(line, " ")
		listed[hash(t, object)] = true
	}
	for i, h := range slices.SortedFunc(maps.Keys(want), func(a, b Hash) int { return strings.Compare(a.String(), b.String()) }) {
		if !listed[h] {
			t.Fatalf("git notes list lacks %s", h)
		}
		if note, err := r.Note(notesRef, h); string(note) != want[h] || err != nil {
			t.Fatalf("Note(%s) = %q, %v; want %q", h, note, err, want[h])
		}
		if i%100 == 0 {
			if got := cli(t, dir, "notes", "--ref=velocity", "show", h.String()); got+"\n" != want[h] {
				t.Fatalf("git notes show %s = %q, want %q", h, got, want[h])
			}
		}
	}
}

// TestNotesOtherEntries keeps what is not a note, also when the tree fans out.
func TestNotesOtherEntries(t *testing.T) {
	r, dir := newBare(t)
	b := r.NewBatch()
	tree, err := b.EditTree(Zero, []TreeEdit{
		{Path: "README", Mode: ModeFile, Hash: b.Blob([]byte("read"))},
		{Path: "abcd", Mode: ModeFile, Hash: b.Blob([]byte("hex but no note"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	tip := b.Commit(spec(tree, "start"))
	if err := r.Write(t.Context(), b, []RefUpdate{{notesRef, Zero, tip}}); err != nil {
		t.Fatal(err)
	}
	lines := make(map[Hash][]string)
	for i := range 400 {
		lines[numbered(i)] = []string{"x"}
	}
	tip = addNotes(t, r, tip, lines)
	for path, want := range map[string]string{"README": "read", "abcd": "hex but no note"} {
		if got, err := r.ReadFile(tip, path, 100); string(got) != want || err != nil {
			t.Errorf("%s = %q, %v", path, got, err)
		}
	}
	if entries, err := r.List(tip, ""); err != nil || len(entries) > 258 {
		t.Errorf("%d entries in the root, %v; want pairs of digits and two more", len(entries), err)
	}
	fsck(t, dir)
}

func TestNotesUnion(t *testing.T) {
	r, _ := newBare(t)
	a, c := numbered(1), numbered(2)
	tip := addNotes(t, r, Zero, map[Hash][]string{a: {"one", "two", "one"}})
	b := r.NewBatch()
	if same, err := b.AddNoteLines(tip, map[Hash][]string{a: {"two"}, c: nil}, spec(Zero, "n")); same != tip || err != nil || len(b.order) > 0 {
		t.Errorf("nothing new = %s with %d objects, %v; want %s with none", same, len(b.order), err, tip)
	}
	tip = addNotes(t, r, tip, map[Hash][]string{a: {"two", "three"}})
	if note, err := r.Note(notesRef, a); string(note) != "one\ntwo\nthree\n" || err != nil {
		t.Errorf("note = %q, %v", note, err)
	}
	if _, err := r.Note(notesRef, c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Note of an object without = %v", err)
	}
	if _, err := r.Note("refs/notes/none", c); !errors.Is(err, ErrRefNotFound) {
		t.Errorf("Note of a ref that is not there = %v", err)
	}
	for _, line := range []string{"", "a\nb", "a\x00"} {
		if _, err := r.NewBatch().AddNoteLines(tip, map[Hash][]string{a: {line}}, spec(Zero, "n")); err == nil {
			t.Errorf("AddNoteLines accepted the line %q", line)
		}
	}
}

// TestNotesAnyOrder: however additions are cut into commits, each note is the
// union of its lines, and git counts as many notes.
func TestNotesAnyOrder(t *testing.T) {
	r, _ := newBare(t)
	rapid.Check(t, func(rt *rapid.T) {
		b := r.NewBatch()
		want := make(map[Hash][]string)
		tip := Zero
		for range rapid.IntRange(1, 4).Draw(rt, "commits") {
			lines := make(map[Hash][]string)
			for range rapid.IntRange(1, 120).Draw(rt, "notes") {
				h := numbered(rapid.IntRange(0, 300).Draw(rt, "object"))
				h[0] &= 0x1f // crowd some digits and leave others out
				line := fmt.Sprint("line ", rapid.IntRange(0, 2).Draw(rt, "line"))
				lines[h] = append(lines[h], line)
				if !slices.Contains(want[h], line) {
					want[h] = append(want[h], line)
				}
			}
			var err error
			if tip, err = b.AddNoteLines(tip, lines, spec(Zero, "n")); err != nil {
				rt.Fatal(err)
			}
		}
		root, err := b.rootTree(tip)
		if err != nil {
			rt.Fatal(err)
		}
		got := make(map[Hash][]string)
		collectNotes(rt, b, root, "", got)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("notes (-want +got):\n%s", diff)
		}
	})
}

func collectNotes(t *rapid.T, b *Batch, tree Hash, digits string, into map[Hash][]string) {
	entries, err := b.tree(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Mode == ModeTree {
			collectNotes(t, b, e.Hash, digits+e.Name, into)
			continue
		}
		h, err := ParseHash(digits + e.Name)
		if err != nil {
			t.Fatal(err)
		}
		content, err := b.blob(e.Hash)
		if err != nil {
			t.Fatal(err)
		}
		into[h] = append(into[h], strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
}

func FuzzNoteUnion(f *testing.F) {
	f.Add("a\nb", "b", "c")
	f.Add("", "x", "x")
	f.Fuzz(func(t *testing.T, old, first, second string) {
		if strings.Contains(first+second, "\n") || first == "" || second == "" {
			return
		}
		got := union([]byte(old), []string{first, second})
		if !strings.HasPrefix(string(got), old) {
			t.Errorf("union lost what was there: %q", got)
		}
		if again := union(got, []string{second, first}); string(again) != string(got) {
			t.Errorf("union is not stable: %q, then %q", got, again)
		}
	})
}
