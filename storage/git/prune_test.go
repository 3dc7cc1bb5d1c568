package git

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const erasedRef = "refs/velocity/s/archive/0000"

// eraseYard is a repository with six builds in a chain of commits and much else.
type eraseYard struct {
	r    *Repository
	dir  string
	tips []Hash // of the chain, oldest first
}

func secretOf(i int) string { return fmt.Sprintf("secret of build %d\n", i) }

func newEraseYard(t *testing.T) *eraseYard {
	r, dir := newWork(t, map[string]string{"a": "1", "b/c": "2"})
	y := &eraseYard{r: r, dir: dir}
	tip := Zero
	for i := range 6 {
		b := r.NewBatch()
		tree := Zero
		if !tip.IsZero() {
			c, err := r.Commit(tip)
			if err != nil {
				t.Fatal(err)
			}
			tree = c.Tree
		}
		tree, err := b.EditTree(tree, []TreeEdit{{Path: fmt.Sprintf("%02d/%d/log", i/3, i), Mode: ModeFile, Hash: b.Blob([]byte(secretOf(i)))}})
		if err != nil {
			t.Fatal(err)
		}
		next := b.Commit(spec(tree, fmt.Sprint("build ", i), parentsOf(tip)...))
		if err := r.Write(t.Context(), b, []RefUpdate{{erasedRef, tip, next}}); err != nil {
			t.Fatal(err)
		}
		y.tips, tip = append(y.tips, next), next
	}
	move(t, r, testRef, Zero, "another ref")
	cliInput(t, dir, "nothing reaches this", "hash-object", "-w", "--stdin")
	return y
}

// copied is the same repository in another place.
func (y *eraseYard) copied(t *testing.T) *eraseYard {
	t.Helper()
	dir := filepath.Join(realTemp(t), "copy")
	if err := os.CopyFS(dir, os.DirFS(y.dir)); err != nil {
		t.Fatal(err)
	}
	return &eraseYard{r: open(t, dir), dir: dir, tips: y.tips}
}

// without is the erasure of one build of the chain.
func (y *eraseYard) without(t *testing.T, victim int) Erasure {
	t.Helper()
	tip := y.tips[len(y.tips)-1]
	c, err := y.r.Commit(tip)
	if err != nil {
		t.Fatal(err)
	}
	b := y.r.NewBatch()
	tree, err := b.EditTree(c.Tree, []TreeEdit{{Path: fmt.Sprintf("%02d/%d", victim/3, victim)}})
	if err != nil {
		t.Fatal(err)
	}
	return Erasure{Batch: b, Updates: []RefUpdate{{erasedRef, tip, b.Commit(spec(tree, "purge"))}}}
}

func lines(s string) map[string]bool {
	set := map[string]bool{}
	for line := range strings.Lines(s) {
		id, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		set[id] = true
	}
	return set
}

func everything(t *testing.T, dir string) map[string]bool {
	t.Helper()
	return lines(cli(t, dir, "cat-file", "--batch-all-objects", "--batch-check"))
}

// minus is what a has and b lacks.
func minus(a, b map[string]bool) map[string]bool {
	rest := map[string]bool{}
	for id := range a {
		if !b[id] {
			rest[id] = true
		}
	}
	return rest
}

// forms are the ways in which objects lie on disk.
var forms = map[string]func(t *testing.T, y *eraseYard){
	"packs of ours": func(*testing.T, *eraseYard) {},
	"after gc":      func(t *testing.T, y *eraseYard) { cli(t, y.dir, "gc", "--quiet") },
	"in a pack of git": func(t *testing.T, y *eraseYard) {
		y.unkeep(t)
		cli(t, y.dir, "repack", "-adkq", "--write-midx")
		cli(t, y.dir, "commit-graph", "write", "--reachable")
	},
	"loose": func(t *testing.T, y *eraseYard) {
		packs, err := filepath.Glob(filepath.Join(y.dir, ".git/objects/pack/*.pack"))
		if err != nil {
			t.Fatal(err)
		}
		for _, pack := range packs {
			aside := filepath.Join(y.dir, ".git", filepath.Base(pack))
			if err := os.Rename(pack, aside); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(aside)
			if err != nil {
				t.Fatal(err)
			}
			for _, extension := range []string{".idx", ".keep"} {
				if err := os.Remove(strings.TrimSuffix(pack, ".pack") + extension); err != nil {
					t.Fatal(err)
				}
			}
			cliInput(t, y.dir, string(data), "unpack-objects", "-q")
			if err := os.Remove(aside); err != nil {
				t.Fatal(err)
			}
		}
	},
	"with a linked work tree and an index": func(t *testing.T, y *eraseYard) {
		cli(t, y.dir, "worktree", "add", "--quiet", "--detach", filepath.Join(y.dir, "..", "linked"), y.tips[1].String())
		if err := os.WriteFile(filepath.Join(y.dir, "added"), []byte(secretOf(3)), 0o666); err != nil {
			t.Fatal(err)
		}
		cli(t, y.dir, "add", "added")
	},
	"with replaced objects": func(t *testing.T, y *eraseYard) {
		cli(t, y.dir, "branch", "old", y.tips[2].String())
		cli(t, y.dir, "replace", y.tips[2].String(), "HEAD")
	},
}

// unkeep removes all our marks, as a clone has none.
func (y *eraseYard) unkeep(t *testing.T) {
	t.Helper()
	marks, err := filepath.Glob(filepath.Join(y.dir, ".git/objects/pack/*.keep"))
	if err != nil || len(marks) == 0 {
		t.Fatalf("%d marks, %v", len(marks), err)
	}
	for _, mark := range marks {
		if err := os.Remove(mark); err != nil {
			t.Fatal(err)
		}
	}
}

// What goes is what the old refs reached and nothing reaches now, wherever it
// lies: git itself says what that is.
func TestEraseTakesExactlyWhatNothingReaches(t *testing.T) {
	for name, form := range forms {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(name, seed), func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				y := newEraseYard(t)
				if random.IntN(2) == 0 {
					cli(t, y.dir, "branch", "counts-on-it", y.tips[random.IntN(3)].String())
				}
				form(t, y)
				before := everything(t, y.dir)
				led := lines(cli(t, y.dir, "--no-replace-objects", "rev-list", "--objects", y.tips[5].String()))
				done, err := y.r.Erase(t.Context(), y.without(t, random.IntN(6)))
				if err != nil {
					t.Fatal(err)
				}
				reached := lines(cli(t, y.dir, "--no-replace-objects", "rev-list", "--objects", "--all", "--reflog", "--indexed-objects"))
				doomed := minus(led, reached)
				if gone := minus(before, everything(t, y.dir)); !cmp.Equal(gone, doomed) || done.Objects != len(doomed) {
					t.Errorf("%d objects told to be gone: %s", done.Objects, cmp.Diff(doomed, gone))
				}
				if len(doomed) == 0 || done.Borrowed > 0 || len(done.Kept) > 0 {
					t.Errorf("doomed %d, %+v", len(doomed), done)
				}
				cli(t, y.dir, "fsck", "--full", "--strict", "--no-dangling")
				if _, err := os.Stat(y.r.erasurePath()); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the list of what goes is still there: %v", err)
				}
			})
		}
	}
}

// Whatever step fails, running it again completes the work.
func TestEraseIsCompletedByTheNext(t *testing.T) {
	for _, form := range []string{"packs of ours", "in a pack of git"} {
		t.Run(form, func(t *testing.T) {
			broken := errors.New("disk")
			first := newEraseYard(t)
			forms[form](t, first)
			for n := 1; ; n++ {
				y := first.copied(t)
				e := y.without(t, 2)
				steps := 0
				y.r.disk.fault = func(string, string) error {
					if steps++; steps >= n {
						return broken
					}
					return nil
				}
				_, err := y.r.Erase(t.Context(), e)
				if err == nil {
					break
				}
				if !errors.Is(err, broken) {
					t.Fatalf("step %d: %v", n, err)
				}
				cli(t, y.dir, "fsck", "--full", "--connectivity-only", "--no-dangling")
				again := open(t, y.dir)
				rest := Erasure{}
				if tip, err := again.Ref(erasedRef); err != nil || tip == e.Updates[0].Old {
					rest = e
					rest.Batch.r = again
				}
				stale, err := again.StaleLocks([]string{"refs/velocity/"}, 0, testTime.AddDate(100, 0, 0))
				if err != nil {
					t.Fatal(err)
				}
				for _, path := range stale {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := again.Erase(t.Context(), rest); err != nil {
					t.Fatalf("again after step %d: %v", n, err)
				}
				if gone := hashOf(t, y, secretOf(2)); exists(y.dir, gone) {
					t.Errorf("step %d: the secret is still there", n)
				}
				for i := range 6 {
					if i != 2 && !exists(y.dir, hashOf(t, y, secretOf(i))) {
						t.Errorf("step %d: build %d is gone", n, i)
					}
				}
				fsck(t, y.dir)
			}
		})
	}
}

func hashOf(t *testing.T, y *eraseYard, content string) Hash {
	t.Helper()
	return hash(t, cliInput(t, y.dir, content, "hash-object", "--stdin"))
}

// A pack that its owner keeps stays, and so does what another repository lends.
func TestEraseTellsWhatStays(t *testing.T) {
	y := newEraseYard(t)
	y.unkeep(t)
	cli(t, y.dir, "repack", "-adkq")
	packs, err := filepath.Glob(filepath.Join(y.dir, ".git/objects/pack/*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	if err := os.WriteFile(strings.TrimSuffix(packs[0], "pack")+"keep", []byte("mine\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	borrower := filepath.Join(y.dir, "..", "borrower")
	cli(t, y.dir, "clone", "--quiet", "--mirror", "--shared", y.dir, borrower)
	there := open(t, borrower)
	e := (&eraseYard{r: there, dir: borrower, tips: y.tips}).without(t, 4)
	done, err := there.Erase(t.Context(), e)
	if err != nil || done.Borrowed == 0 || done.Objects != 0 {
		t.Errorf("in a borrower: %+v, %v", done, err)
	}
	before := everything(t, y.dir)
	done, err = y.r.Erase(t.Context(), y.without(t, 4))
	if err != nil || len(done.Kept) != 1 || done.Kept[0].Path != packs[0] || done.Kept[0].Objects == 0 || !strings.Contains(done.Kept[0].Why, ".keep") {
		t.Errorf("in a kept pack: %+v, %v", done, err)
	}
	if gone := minus(before, everything(t, y.dir)); len(gone) > 0 {
		t.Errorf("gone: %v", gone)
	}
	if err := os.Remove(strings.TrimSuffix(packs[0], "pack") + "keep"); err != nil {
		t.Fatal(err)
	}
	if done, err = y.r.Erase(t.Context(), Erasure{}); err != nil || done.Objects == 0 || exists(y.dir, hashOf(t, y, secretOf(4))) {
		t.Errorf("once the pack may be touched: %+v, %v", done, err)
	}
}

// A reflog holds on to what its ref was; commits that Also picks go although no
// update is about them.
func TestEraseDropsReflogsAndStrays(t *testing.T) {
	y := newEraseYard(t)
	cli(t, y.dir, "config", "core.logAllRefUpdates", "always")
	stray := move(t, y.r, "refs/velocity/s/live/8", Zero, "build 2: secret")
	other := move(t, y.r, "refs/velocity/s/live/9", Zero, "build 3: other")
	for _, ref := range []RefUpdate{{"refs/velocity/s/live/8", stray, Zero}, {"refs/velocity/s/live/9", other, Zero}} {
		if err := y.r.Write(t.Context(), nil, []RefUpdate{ref}); err != nil {
			t.Fatal(err)
		}
	}
	cli(t, y.dir, "update-ref", "-m", "by hand", erasedRef, y.tips[4].String())
	cli(t, y.dir, "update-ref", "-m", "and back", erasedRef, y.tips[5].String())
	e := y.without(t, 2)
	e.Also = func(c Commit) bool { return strings.HasPrefix(c.Message, "build 2:") }
	done, err := y.r.Erase(t.Context(), e)
	if err != nil || !cmp.Equal(done.Reflogs, []string{erasedRef}) {
		t.Errorf("%+v, %v", done, err)
	}
	for _, h := range []Hash{stray, y.tips[5], hashOf(t, y, secretOf(2)), hashOf(t, y, "build 2: secret")} {
		if exists(y.dir, h) {
			t.Errorf("%s is still there", h)
		}
	}
	if !exists(y.dir, other) {
		t.Error("another stray is gone")
	}
	fsck(t, y.dir)
}

// Collect drops what nothing reaches although there are few packs.
func TestCollectFewPacks(t *testing.T) {
	y := newEraseYard(t)
	cli(t, y.dir, "commit-graph", "write", "--reachable")
	if err := y.r.Write(t.Context(), nil, []RefUpdate{{erasedRef, y.tips[5], Zero}}); err != nil {
		t.Fatal(err)
	}
	upkeep(t, y.r, 32)
	if !exists(y.dir, y.tips[5]) {
		t.Fatal("gone already: the test proves nothing")
	}
	if err := y.r.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exists(y.dir, y.tips[5]) || exists(y.dir, hashOf(t, y, secretOf(2))) {
		t.Error("what nothing reaches is still there")
	}
	fsck(t, y.dir)
}

// Lines go from notes with and without folders, and the history with them.
func TestDropNoteLines(t *testing.T) {
	for _, count := range []int{3, 700} { // git makes folders of many
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			r, dir := newBare(t)
			notes := map[Hash][]string{}
			for i := range count {
				notes[Hash{byte(i), byte(i >> 8), 1}] = []string{fmt.Sprint("keep ", i), fmt.Sprint("drop ", i)}
			}
			notes[Hash{1, 2, 3}] = []string{"drop all"}
			b := r.NewBatch()
			tip, err := b.AddNoteLines(Zero, notes, spec(Zero, "notes"))
			if err != nil {
				t.Fatal(err)
			}
			next, err := b.AddNoteLines(tip, map[Hash][]string{{9, 9}: {"keep 9"}}, spec(Zero, "more"))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Write(t.Context(), b, []RefUpdate{{"refs/notes/velocity", Zero, next}}); err != nil {
				t.Fatal(err)
			}
			drop := func(line []byte) bool { return strings.HasPrefix(string(line), "drop ") }
			b = r.NewBatch()
			root, err := b.DropNoteLines(next, drop, spec(Zero, "purge"))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Write(t.Context(), b, []RefUpdate{{"refs/notes/velocity", next, root}}); err != nil {
				t.Fatal(err)
			}
			if got := cli(t, dir, "rev-list", "--count", root.String()); got != "1" {
				t.Errorf("%s commits, want 1", got)
			}
			text := cli(t, dir, "grep", "-h", "-e", "", root.String())
			if strings.Contains(text, "drop") || strings.Count(text, "keep") != count+1 {
				t.Errorf("left: %.200s", text)
			}
			if got := len(strings.Split(cli(t, dir, "notes", "--ref=velocity", "list"), "\n")); got != count+1 {
				t.Errorf("git lists %d notes, want %d", got, count+1)
			}
			b = r.NewBatch()
			if same, err := b.DropNoteLines(root, drop, spec(Zero, "again")); same != root || err != nil {
				t.Errorf("again: %s, %v", same, err)
			}
			if none, err := b.DropNoteLines(root, func([]byte) bool { return true }, spec(Zero, "all")); !none.IsZero() || err != nil {
				t.Errorf("all: %s, %v", none, err)
			}
		})
	}
}

// That git counts on an object of a pack is still known of the pack that takes
// its place.
func TestEraseRemembersWhatGitMet(t *testing.T) {
	y := newEraseYard(t)
	b := y.r.NewBatch()
	tip := oneFile(t, b, "content of both", y.tips[5])
	if err := y.r.Write(t.Context(), b, []RefUpdate{{erasedRef, y.tips[5], tip}}); err != nil {
		t.Fatal(err)
	}
	stray := oneFile(t, y.r.NewBatch(), "stray")
	b = y.r.NewBatch()
	oneFile(t, b, "stray")
	oneFile(t, b, "content of both") // in the same pack
	if err := y.r.Write(t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
	met := hash(t, cliInput(t, y.dir, "stray", "hash-object", "-w", "--stdin"))
	root := y.r.NewBatch()
	e := Erasure{Batch: root, Updates: []RefUpdate{{erasedRef, tip, oneFile(t, root, "new")}}}
	if done, err := y.r.Erase(t.Context(), e); err != nil || done.Objects == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if exists(y.dir, hashOf(t, y, "content of both")) {
		t.Fatal("the pack was not written anew: the test proves nothing")
	}
	if err := y.r.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !exists(y.dir, met) || !exists(y.dir, stray) {
		t.Error("what git counts on is gone")
	}
}
