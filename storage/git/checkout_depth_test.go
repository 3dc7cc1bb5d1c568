package git

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// threeAndAMerge is a repository of three commits and the merge of a branch.
func threeAndAMerge(t *testing.T) (r *Repository, dir string) {
	t.Helper()
	r, dir = newWork(t, map[string]string{"a": "1"})
	cli(t, dir, "tag", "-a", "-m", "x", "v1")
	commitFiles(t, dir, map[string]string{"a": "2"})
	cli(t, dir, "checkout", "-q", "-b", "side")
	commitFiles(t, dir, map[string]string{"b": "3"})
	cli(t, dir, "checkout", "-q", "main")
	commitFiles(t, dir, map[string]string{"a": "3"})
	cli(t, dir, "merge", "-q", "--no-ff", "-m", "merge", "side")
	cli(t, dir, "tag", "-a", "-m", "x", "v2")
	return r, dir
}

// A workspace of some depth is what git clone --depth makes.
func TestCheckoutDepth(t *testing.T) {
	r, dir := threeAndAMerge(t)
	head := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	for depth := range 6 {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprint(depth, own), func(t *testing.T) {
				want := filepath.Join(realTemp(t), "clone")
				args := []string{"clone", "-q", "file://" + dir, want}
				if depth > 0 {
					args = append(args, "--depth", fmt.Sprint(depth))
				}
				cli(t, dir, args...)
				ws := filepath.Join(realTemp(t), "ws")
				if err := r.CheckoutDepth(t.Context(), ws, head, depth, own); err != nil {
					t.Fatal(err)
				}
				for _, ask := range [][]string{
					{"rev-list", "HEAD"}, {"rev-list", "--count", "--all"}, {"tag"}, {"status", "--porcelain"},
				} {
					if got, want := cli(t, ws, ask...), cli(t, want, ask...); got != want {
						t.Errorf("git %s = %q, in a clone %q", strings.Join(ask, " "), got, want)
					}
				}
				fsck(t, ws)
			})
		}
	}
}

// The own copy of a short history holds no more than that.
func TestCheckoutDepthOwnCopiesLittle(t *testing.T) {
	r, dir := threeAndAMerge(t)
	head := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	first := cli(t, dir, "rev-parse", "v1^{commit}")
	ws := filepath.Join(realTemp(t), "ws")
	if err := r.CheckoutDepth(t.Context(), ws, head, 1, true); err != nil {
		t.Fatal(err)
	}
	if got := cli(t, ws, "cat-file", "--batch-all-objects", "--batch-check"); strings.Contains(got, first) {
		t.Errorf("the first commit is in the copy: %s", got)
	}
}

// A mirror that is itself shallow is cut where it ends, at the latest.
func TestCheckoutDepthOfAShallowRepository(t *testing.T) {
	_, dir := threeAndAMerge(t)
	short := filepath.Join(realTemp(t), "short")
	cli(t, dir, "clone", "-q", "--depth", "2", "file://"+dir, short)
	r, err := Open(t.Context(), short)
	if err != nil {
		t.Fatal(err)
	}
	head := hash(t, cli(t, short, "rev-parse", "HEAD"))
	for depth, want := range map[int]string{1: "1", 2: "3", 9: "3"} {
		ws := filepath.Join(realTemp(t), "ws")
		if err := r.CheckoutDepth(t.Context(), ws, head, depth, false); err != nil {
			t.Fatal(err)
		}
		if got := cli(t, ws, "rev-list", "--count", "HEAD"); got != want {
			t.Errorf("depth %d has %s commits, want %s", depth, got, want)
		}
	}
}

func TestCheckoutDepthErrors(t *testing.T) {
	r, _ := newWork(t, map[string]string{"a": "1"})
	ws := filepath.Join(realTemp(t), "ws")
	absent, err := ParseHash(strings.Repeat("1", 40))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CheckoutDepth(t.Context(), ws, absent, 1, false); err == nil {
		t.Error("a commit that is not there was checked out")
	}
	if _, err := os.Stat(ws); err == nil {
		t.Error("its folder was left behind")
	}
}
