package git

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRefsListing(t *testing.T) {
	r, dir := newBare(t)
	a := move(t, r, "refs/velocity/s/live/1", Zero, "a")
	move(t, r, "refs/velocity/s/live/2", Zero, "b")
	move(t, r, "refs/velocity/s/seq", Zero, "c")
	move(t, r, "refs/velocity/s2/seq", Zero, "d")
	cli(t, dir, "pack-refs", "--all")
	move(t, r, "refs/velocity/s/live/1", a, "e") // loose above packed
	move(t, r, "refs/velocity/s/live/3", Zero, "f")
	cli(t, dir, "symbolic-ref", "refs/velocity/s/live/sym", "refs/velocity/s/seq")
	cli(t, dir, "symbolic-ref", "refs/velocity/s/live/nowhere", "refs/velocity/s/none")
	for name, content := range map[string]string{"2": "", "4": "", "5": "garbage\n", "6.lock": ""} {
		if err := os.WriteFile(filepath.Join(dir, "refs/velocity/s/live", name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	refs, broken, err := r.Refs("refs/velocity/s/live/")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, ref := range refs {
		names = append(names, strings.TrimPrefix(ref.Name, "refs/velocity/s/live/"))
		if want := hash(t, cli(t, dir, "rev-parse", ref.Name)); ref.Hash != want {
			t.Errorf("%s = %s, want %s", ref.Name, ref.Hash, want)
		}
	}
	if diff := cmp.Diff([]string{"1", "3", "sym"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if len(broken) != 3 || broken[0].Name != "refs/velocity/s/live/2" || broken[2].Name != "refs/velocity/s/live/5" {
		t.Errorf("broken = %+v, want 2, 4 and 5", broken) // 2 in spite of its packed value
	}
	var bad *BrokenRef
	if _, err := r.Ref("refs/velocity/s/live/4"); !errors.As(err, &bad) {
		t.Errorf("Ref of an empty file = %v, want *BrokenRef", err)
	}
	if refs, _, err := r.Refs("refs/velocity/s"); len(refs) != 5 || err != nil {
		t.Errorf("Refs(refs/velocity/s) = %d refs, %v; want 5", len(refs), err)
	}
	if refs, _, err := r.Refs("refs/absent/"); len(refs) != 0 || err != nil {
		t.Errorf("Refs(refs/absent/) = %v, %v", refs, err)
	}
}

// TestPackedRefsFind compares the binary search with a look at every line, for
// files as git writes them and for unsorted ones of old tools.
func TestPackedRefsFind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.StringMatching(`refs/[a-c]{1,2}/[a-c]{1,3}(/[a-c])?`), rapid.ID).Draw(t, "names")
		sorted := rapid.Bool().Draw(t, "sorted")
		var file strings.Builder
		if sorted {
			file.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
			names = sortedCopy(names)
		}
		want := make(map[string]Hash)
		for i, name := range names {
			h := Hash{1, byte(i)}
			want[name] = h
			file.WriteString(h.String() + " " + name + "\n")
			if rapid.Bool().Draw(t, "tag") {
				file.WriteString("^" + h.String() + "\n")
			}
		}
		packed := newPackedRefs([]byte(file.String()))
		for _, name := range append(names, "refs/b/none", "refs/a", "refs/zz/z") {
			got, ok := packed.find(name)
			if known, exists := want[name]; got != known || ok != exists {
				t.Fatalf("find(%q) = %s, %v; want %s, %v in\n%s", name, got, ok, known, exists, file.String())
			}
		}
		prefix := rapid.StringMatching(`refs/[a-c]{0,2}/?[a-c]{0,2}`).Draw(t, "prefix")
		got := make(map[string]Hash)
		packed.withPrefix(prefix, func(ref Ref) { got[ref.Name] = ref.Hash })
		for name := range want {
			if !strings.HasPrefix(name, prefix) {
				delete(want, name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("withPrefix(%q) (-want +got):\n%s", prefix, diff)
		}
	})
}

func sortedCopy(names []string) []string {
	out := append([]string(nil), names...)
	for i := range out {
		for j := i; j > 0 && out[j] < out[j-1]; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func FuzzPackedRefs(f *testing.F) {
	h := strings.Repeat("a1", 20)
	f.Add([]byte("# pack-refs with: peeled fully-peeled sorted \n"+h+" refs/heads/a\n^"+h+"\n"+h+" refs/tags/b\n"), "refs/tags/b")
	f.Add([]byte(h+" refs/heads/a"), "refs/heads/a")
	f.Add([]byte("#\n\n\n^"), "")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		packed := newPackedRefs(data)
		all := make(map[string]bool)
		packed.withPrefix("", func(ref Ref) {
			if !readableRef(ref.Name) {
				t.Errorf("read unsafe name %q", ref.Name)
			}
			all[ref.Name] = true
		})
		if _, ok := packed.find(name); ok && !all[name] {
			t.Errorf("find(%q) found what the listing does not have", name)
		}
		content, _ := packed.without(map[string]bool{name: true})
		if _, ok := newPackedRefs(content).find(name); ok {
			t.Errorf("%q is still in the file it was removed from", name)
		}
	})
}

func FuzzRefName(f *testing.F) {
	for _, name := range []string{"refs/velocity/a-b_c.d", "refs/notes/velocity", "refs/x/-o", "refs/a/b.lock", "refs/a/é", "refs/a/\u202eb", "refs/a/..", "refs/a/@{b"} {
		f.Add(name)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string) {
		if checkRefName(name) != nil {
			return
		}
		if !readableRef(name) {
			t.Errorf("%q may be written and not read", name)
		}
		path := filepath.Join(dir, name)
		if rel, err := filepath.Rel(dir, path); err != nil || rel != name {
			t.Errorf("%q leads to %q", name, rel)
		}
		if _, err := tryCLI(dir, "", "check-ref-format", name); err != nil {
			t.Errorf("git refuses %q, which we accept", name)
		}
	})
}

func TestRefNameGrammar(t *testing.T) {
	for _, name := range []string{"refs/velocity/k3f9a2/live/0000000001", "refs/notes/velocity", "refs/velocity/remotes/origin/grün"} {
		if err := checkRefName(name); err != nil {
			t.Errorf("checkRefName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{
		"", "refs", "refs/velocity", "HEAD", "heads/a/b", "/refs/a/b", "refs/a/b/", "refs//b", "refs/a/-b", "refs/-a/b",
		"refs/a/.b", "refs/a/b.", "refs/a/b.lock", "refs/a.lock/b", "refs/a/..", "refs/a/b..c", "refs/a/b c", "refs/a/b\n",
		"refs/a/b\x00", "refs/a/$(c)", "refs/a/<img>", "refs/a/'b", "refs/a/\u202eb", "refs/a/b\u200d", "refs/a/b~1",
		"refs/a/b^", "refs/a/b:c", "refs/a/@{b", "refs/a/b\\c", "refs/a/" + strings.Repeat("b", 300), "refs/a/\xff",
	} {
		if checkRefName(name) == nil {
			t.Errorf("checkRefName(%q) accepted", name)
		}
	}
}

func TestStaleLocks(t *testing.T) {
	r, dir := newBare(t)
	h := move(t, r, "refs/velocity/s/seq", Zero, "a")
	now := time.Now()
	files := map[string]time.Duration{ // by age
		"refs/velocity/s/seq.lock":    time.Minute,
		"refs/velocity/s/live/1.lock": time.Second,
		"refs/heads/main.lock":        time.Minute,
		"velocity/lock-123":           time.Minute,
		"packed-refs.lock":            time.Minute,
	}
	for name, age := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(oursMark), 0o666), os.Chtimes(path, now.Add(-age), now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	stale, err := r.StaleLocks([]string{"refs/velocity/"}, 10*time.Second, now)
	want := []string{filepath.Join(dir, "refs/velocity/s/seq.lock"), filepath.Join(dir, "packed-refs.lock"), filepath.Join(dir, "velocity/lock-123")}
	if diff := cmp.Diff(want, stale); diff != "" || err != nil {
		t.Errorf("stale locks (-want +got), %v:\n%s", err, diff)
	}
	if got, err := r.Ref("refs/velocity/s/seq"); got != h || err != nil {
		t.Errorf("the ref beside the lock = %s, %v", got, err)
	}
	// A packed-refs.lock without our mark is another git's.
	path := filepath.Join(dir, "packed-refs.lock")
	if err := errors.Join(os.WriteFile(path, nil, 0o666), os.Chtimes(path, now.Add(-time.Hour), now.Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	if stale, err := r.StaleLocks([]string{"refs/velocity/"}, 10*time.Second, now); len(stale) != 2 || slices.Contains(stale, path) || err != nil {
		t.Errorf("stale locks are %v, %v; want those that are ours", stale, err)
	}
}
