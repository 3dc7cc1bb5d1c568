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

// TestEditTree applies random edits in two steps and compares the tree's id with
// what git makes of the same files.
func TestEditTree(t *testing.T) {
	r, dir := newBare(t)
	rapid.Check(t, func(rt *rapid.T) {
		b := r.NewBatch()
		model := make(map[string]string) // content by path
		root := Zero
		for range rapid.IntRange(1, 3).Draw(rt, "steps") {
			edits := rapid.SliceOfN(rapid.Custom(drawEdit), 1, 8).Draw(rt, "edits")
			var todo []TreeEdit
			for _, e := range edits {
				todo = append(todo, TreeEdit{Path: e.path, Mode: ModeFile, Hash: e.hash(b)})
				e.apply(model)
			}
			var err error
			if root, err = b.EditTree(root, todo); err != nil {
				rt.Fatal(err)
			}
		}
		want := treeByGit(rt, dir, model)
		if got := root.String(); got != want {
			rt.Fatalf("EditTree = %s, git makes %s of %v", got, want, model)
		}
	})
}

type modelEdit struct{ path, content string }

func drawEdit(t *rapid.T) modelEdit {
	return modelEdit{
		path:    rapid.StringMatching(`[ab](\.x|0)?(/[ab](\.x)?){0,2}`).Draw(t, "path"),
		content: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "content"),
	}
}

// hash is Zero for a removal, drawn as no content.
func (e modelEdit) hash(b *Batch) Hash {
	if e.content == "" {
		return Zero
	}
	return b.Blob([]byte(e.content))
}

func (e modelEdit) apply(model map[string]string) {
	if e.content == "" {
		maps.DeleteFunc(model, func(path, _ string) bool { return path == e.path || strings.HasPrefix(path, e.path+"/") })
		return
	}
	maps.DeleteFunc(model, func(path, _ string) bool {
		return strings.HasPrefix(path, e.path+"/") || strings.HasPrefix(e.path, path+"/")
	})
	model[e.path] = e.content
}

func treeByGit(rt *rapid.T, dir string, model map[string]string) string {
	rt.Helper()
	git := func(stdin string, args ...string) string {
		out, err := tryCLI(dir, stdin, args...)
		if err != nil {
			rt.Fatal(err)
		}
		return out
	}
	hashes := map[string]string{"1": git("1", "hash-object", "-w", "--stdin"), "2": git("2", "hash-object", "-w", "--stdin")}
	var input strings.Builder
	for _, path := range slices.Sorted(maps.Keys(model)) {
		fmt.Fprintf(&input, "100644 %s\t%s\n", hashes[model[path]], path)
	}
	git("", "read-tree", "--empty")
	git(input.String(), "update-index", "--add", "--index-info")
	return git("", "write-tree")
}

// TestEditTreeKeepsTheRest checks that a small edit of a big tree makes only the
// objects on its path and never looks at the others.
func TestEditTreeKeepsTheRest(t *testing.T) {
	r, _ := newBare(t)
	b := r.NewBatch()
	var edits []TreeEdit
	for i := range 100 {
		edits = append(edits, TreeEdit{Path: fmt.Sprintf("%02d/%d/build.json", i, i), Mode: ModeFile, Hash: b.Blob(fmt.Append(nil, i))})
	}
	root, err := b.EditTree(Zero, edits)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), b, []RefUpdate{{testRef, Zero, b.Commit(spec(root, "all"))}}); err != nil {
		t.Fatal(err)
	}
	b = r.NewBatch()
	sub, err := b.Tree([]TreeEntry{{Name: "x", Mode: 0o100755, Hash: b.Blob([]byte("x"))}})
	if err != nil {
		t.Fatal(err)
	}
	next, err := b.EditTree(root, []TreeEdit{{Path: "07/graft", Mode: ModeTree, Hash: sub}})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.order) != 4 { // x, its folder, 07, the root
		t.Errorf("the edit made %d objects, want 4", len(b.order))
	}
	if same, err := b.EditTree(next, []TreeEdit{{Path: "07/none"}, {Path: "none/none"}}); same != next || err != nil {
		t.Errorf("removing nothing = %s, %v; want %s", same, err, next)
	}
	if err := r.Write(t.Context(), b, []RefUpdate{{"refs/velocity/s/live/2", Zero, b.Commit(spec(next, "graft"))}}); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Entry(next, "07/graft/x"); err != nil || e.Mode != 0o100755 {
		t.Errorf("Entry = %+v, %v", e, err)
	}
}

func TestTreeRefusesNames(t *testing.T) {
	r, _ := newBare(t)
	b := r.NewBatch()
	h := b.Blob(nil)
	for _, name := range []string{"", ".", "..", ".git", ".GIT", "a/b", "a\x00b"} {
		if _, err := b.Tree([]TreeEntry{{Name: name, Mode: ModeFile, Hash: h}}); err == nil {
			t.Errorf("Tree accepted the name %q", name)
		}
		if _, err := b.EditTree(Zero, []TreeEdit{{Path: "x/" + name + "/y", Mode: ModeFile, Hash: h}}); err == nil && name != "a/b" {
			t.Errorf("EditTree accepted the path x/%q/y", name)
		}
	}
	if _, err := b.Tree([]TreeEntry{{Name: "a", Mode: ModeFile, Hash: h}, {Name: "a", Mode: ModeTree, Hash: h}}); err == nil {
		t.Error("Tree accepted a name twice")
	}
}

// TestCommitSpecIsInert checks that hostile text stays inside its field.
func TestCommitSpecIsInert(t *testing.T) {
	r, dir := newBare(t)
	b := r.NewBatch()
	tree, err := b.Tree(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := b.Commit(CommitSpec{Tree: tree, Name: "x> 0 +0000\nparent y", Email: "<a\nb>", When: testTime, Message: "m\x00n\n"})
	if err := r.Write(t.Context(), b, []RefUpdate{{testRef, Zero, h}}); err != nil {
		t.Fatal(err)
	}
	c, err := r.Commit(h)
	if err != nil {
		t.Fatal(err)
	}
	want := Signature{Name: "x 0 +0000parent y", Email: "ab", When: testTime.UTC()}
	if diff := cmp.Diff(want, c.Author); diff != "" || c.Message != "mn\n" || c.Parents != nil {
		t.Errorf("author (-want +got), message %q, parents %v:\n%s", c.Message, c.Parents, diff)
	}
	fsck(t, dir)
}

func FuzzParseObjects(f *testing.F) {
	f.Add([]byte("tree " + strings.Repeat("a1", 20) + "\nauthor A <a@b> 1 +0100\n\nm"))
	f.Add([]byte("100644 a\x00" + strings.Repeat("x", 20)))
	f.Add([]byte("object " + strings.Repeat("a1", 20) + "\ntype commit\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parseCommit(Hash{1}, data); err == nil && c.Tree.IsZero() {
			t.Error("a commit without tree")
		}
		if _, err := parseTag(Hash{1}, data); err != nil {
			_ = err // any answer will do, a panic would not
		}
		entries, err := parseTree(Hash{1}, data)
		if err != nil {
			return
		}
		if content, err := encodeTree(entries); err == nil {
			again, err := parseTree(Hash{1}, content)
			slices.SortFunc(entries, compareEntries)
			if diff := cmp.Diff(entries, again); diff != "" || err != nil {
				t.Errorf("encoded and parsed again (-want +got), %v:\n%s", err, diff)
			}
		}
	})
}
