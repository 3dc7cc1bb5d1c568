package git

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Whatever two trees hold, and whatever is selected of them, the comparison says
// what one of all their files would.
func TestDifferAndDigestAgreeWithAllFiles(t *testing.T) {
	r, _ := newBare(t)
	rapid.Check(t, func(rt *rapid.T) {
		a := drawFiles(rt, "a")
		b := maps.Clone(a) // one file apart, or altogether
		if rapid.Bool().Draw(rt, "near") {
			b[rapid.SampledFrom(slices.Sorted(maps.Keys(a))).Draw(rt, "edited")] = "3"
		} else {
			b = drawFiles(rt, "b")
		}
		trees := writeTrees(rt, r, a, b)
		left, right := trees[0], trees[1]
		var s plan.Patterns = rapid.SliceOfN(rapid.SampledFrom([]string{
			"**", "*", "x", "d/**", "d/*", "d/e/**", "**/x", "e/d/x", "!d/**", "!**/x", "!x", "{d,e}/**", "e/**",
		}), 0, 3).Draw(rt, "patterns")
		want := !maps.Equal(selected(a, s), selected(b, s))
		got, err := r.Differ(left, right, s)
		if err != nil || got != want {
			rt.Fatalf("Differ under %q = %v, %v; want %v\n%v\n%v", s, got, err, want, a, b)
		}
		one, err := r.Digest(left, s)
		if err != nil {
			rt.Fatal(err)
		}
		other, err := r.Digest(right, s)
		if err != nil || (one != other) != want {
			rt.Fatalf("digests under %q are %s and %s, %v; want a difference %v\n%v\n%v", s, one, other, err, want, a, b)
		}
		if gone, err := r.Differ(left, Zero, s); err != nil || gone != (len(selected(a, s)) > 0) {
			rt.Fatalf("Differ from nothing under %q = %v, %v\n%v", s, gone, err, a)
		}
	})
}

// drawFiles draws a few files; a name is a file or a folder.
func drawFiles(rt *rapid.T, label string) map[string]string {
	paths := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
		"x", "y", "d/x", "d/y", "d/e/x", "d/e/y", "e/d/x", "e/x", "d", "e",
	}), 1, 5, rapid.ID).Draw(rt, label)
	files := map[string]string{}
	for _, path := range paths {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(have string) bool {
			return strings.HasPrefix(have, path+"/") || strings.HasPrefix(path, have+"/")
		}) {
			files[path] = rapid.SampledFrom([]string{"1", "2"}).Draw(rt, label+" "+path)
		}
	}
	return files
}

func writeTrees(rt *rapid.T, r *Repository, all ...map[string]string) []Hash {
	batch := r.NewBatch()
	var trees []Hash
	for _, files := range all {
		var edits []TreeEdit
		for path, content := range files {
			edits = append(edits, TreeEdit{Path: path, Hash: batch.Blob([]byte(content)), Mode: ModeFile})
		}
		tree, err := batch.EditTree(Zero, edits)
		if err != nil {
			rt.Fatal(err)
		}
		trees = append(trees, tree)
	}
	if err := r.Write(rt.Context(), batch, nil); err != nil {
		rt.Fatal(err)
	}
	return trees
}

func selected(files map[string]string, s plan.Patterns) map[string]string {
	some := map[string]string{}
	for path, content := range files {
		if s.Selects(path) {
			some[path] = content
		}
	}
	return some
}

func TestDifferSeesModes(t *testing.T) {
	r, dir := newWork(t, map[string]string{"run.sh": "true"})
	before := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	cli(t, dir, "update-index", "--chmod=+x", "run.sh")
	cli(t, dir, "commit", "--quiet", "-m", "x")
	after := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	if got, err := r.Differ(before, after, plan.Patterns{"*.sh"}); err != nil || !got {
		t.Errorf("Differ of a mode = %v, %v", got, err)
	}
}

func TestAncestorsAndMergeBase(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "0"})
	root := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	main := commitFiles(t, dir, map[string]string{"a": "1"})
	cli(t, dir, "checkout", "--quiet", "-b", "side", root.String())
	side := commitFiles(t, dir, map[string]string{"b": "1"})
	cli(t, dir, "merge", "--quiet", "-m", "merge", main.String())
	merge := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	cli(t, dir, "checkout", "--quiet", "--orphan", "other")
	other := commitFiles(t, dir, map[string]string{"c": "1"})

	if got, err := r.MergeBase(t.Context(), main, side); err != nil || got != root {
		t.Errorf("MergeBase = %s, %v; want %s", got, err, root)
	}
	if got, err := r.MergeBase(t.Context(), main, other); err != nil || !got.IsZero() {
		t.Errorf("MergeBase of strangers = %s, %v; want none", got, err)
	}
	got, err := r.Ancestors(merge, 10)
	if err != nil || len(got) != 3 || got[2] != root {
		t.Fatalf("Ancestors = %v, %v; want three, the root last", got, err)
	}
	want := strings.Fields(cli(t, dir, "rev-list", "--skip=1", merge.String()))
	slices.Sort(want)
	var all []string
	for _, h := range got {
		all = append(all, h.String())
	}
	slices.Sort(all)
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("Ancestors and git rev-list (-git +ours):\n%s", diff)
	}
	if few, err := r.Ancestors(merge, 2); err != nil || fmt.Sprint(few) != fmt.Sprint(got[:2]) {
		t.Errorf("Ancestors up to two = %v, %v", few, err)
	}
}
