package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCommit(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	first := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	second := commitFiles(t, dir, map[string]string{"a": "2"})
	got, err := r.Commit(second)
	if err != nil {
		t.Fatal(err)
	}
	want := Commit{
		Hash:      second,
		Tree:      hash(t, cli(t, dir, "rev-parse", "HEAD^{tree}")),
		Parents:   []Hash{first},
		Author:    Signature{Name: "A", Email: "a@b", When: time.Unix(1_700_000_000, 0)},
		Committed: time.Unix(1_700_000_100, 0),
		Message:   "subject\n\nbody\n",
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("Commit (-want +got):\n%s", diff)
	}
	if zone := got.Committed.Format("-0700"); zone != "-0330" {
		t.Errorf("committer zone = %s, want -0330", zone)
	}
}

// readEverything compares all reading with git's answers, in whatever way git
// keeps the objects at the moment.
func readEverything(t *testing.T, r *Repository, dir string) {
	t.Helper()
	head := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	files, err := r.Walk(head, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, file := range files {
		listed = append(listed, fmt.Sprintf("%06o %s %s", file.Mode, file.Hash, file.Name))
		content, err := r.ReadFile(head, file.Name, 10<<20)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := os.ReadFile(filepath.Join(dir, file.Name)); err != nil || string(want) != string(content) {
			t.Errorf("ReadFile(%s) differs from the file (%v)", file.Name, err)
		}
		if size, err := r.objects.size(file.Hash); err != nil || size != int64(len(content)) {
			t.Errorf("size of %s = %d, %v; want %d", file.Name, size, err, len(content))
		}
	}
	want := cli(t, dir, "ls-tree", "-r", "--format=%(objectmode) %(objectname) %(path)", "HEAD")
	if diff := cmp.Diff(want, strings.Join(listed, "\n")); diff != "" {
		t.Errorf("Walk (-git +got):\n%s", diff)
	}
}

func TestReadLooseAndPacked(t *testing.T) {
	r, dir := newWork(t, nil)
	text := strings.Repeat("a line that deltas well\n", 3000)
	for i := range 12 { // versions of a file that packing turns into chains of deltas
		text += fmt.Sprintf("version %d\n", i)
		commitFiles(t, dir, map[string]string{"big": text, fmt.Sprintf("d/e%d/f", i%3): text[i:], "empty": ""})
	}
	readEverything(t, r, dir)
	steps := [][]string{
		{"repack", "-adfq", "--depth=50"},
		{"-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq"}, // deltas by name
	}
	for _, step := range steps {
		cli(t, dir, step...)
		readEverything(t, open(t, dir), dir)
		readEverything(t, r, dir) // which knows packs that are gone
	}
	shared := filepath.Join(realTemp(t), "shared")
	cli(t, ".", "clone", "--quiet", "--shared", dir, shared)
	readEverything(t, open(t, shared), shared)
}

// Big indexes are searched on disk; forcing that must change no answer.
func TestReadIndexOnDisk(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1", "b/c": "2"})
	cli(t, dir, "repack", "-adq")
	if _, err := r.objects.refresh(); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.objects.packs {
		x, err := p.opened()
		if err != nil {
			t.Fatal(err)
		}
		x.data = nil
	}
	readEverything(t, r, dir)
}

func TestReadErrors(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "12345", "d/e": "1"})
	head := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	missing := hash(t, strings.Repeat("12", 20))
	cases := []struct {
		name string
		call func() error
		want error
	}{
		{"missing object", func() error { _, err := r.Commit(missing); return err }, ErrObjectNotFound},
		{"missing path", func() error { _, err := r.ReadFile(head, "d/x", 9); return err }, fs.ErrNotExist},
		{"below a file", func() error { _, err := r.ReadFile(head, "a/x", 9); return err }, fs.ErrNotExist},
		{"file as folder", func() error { _, err := r.List(head, "a"); return err }, fs.ErrNotExist},
		{"big file", func() error { _, err := r.ReadFile(head, "a", 4); return err }, ErrTooLarge},
		{"many files", func() error { _, err := r.Walk(head, "", 1); return err }, ErrTooLarge},
	}
	for _, c := range cases {
		if err := c.call(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, path := range []string{"../a", "d/../a", "/a", "d//e", "d", ".git/x"} {
		if _, err := r.ReadFile(head, path, 9); err == nil {
			t.Errorf("ReadFile(%q) succeeded", path)
		}
	}
}

// TestReadCorruptObject is about objects that a power cut emptied.
func TestReadCorruptObject(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	r.objects.sleep = func(time.Duration) {}
	h := cli(t, dir, "rev-parse", "HEAD:a")
	path := filepath.Join(dir, ".git/objects", h[:2], h[2:])
	if err := errors.Join(os.Chmod(path, 0o666), os.Truncate(path, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadBlob(hash(t, h), 10); !errors.Is(err, errCorrupt) || errors.Is(err, ErrObjectNotFound) {
		t.Errorf("ReadBlob of an empty file = %v, want corrupt", err)
	}
}

func TestResolve(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	first := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	second := commitFiles(t, dir, map[string]string{"a": "2"})
	cli(t, dir, "tag", "-a", "-m", "x", "v1", first.String())
	cli(t, dir, "tag", "both", first.String())
	cli(t, dir, "branch", "both", second.String())
	cli(t, dir, "update-ref", "refs/remotes/origin/topic", first.String())
	// A branch that is called like a commit must not stand in for it.
	cli(t, dir, "update-ref", "refs/heads/"+first.String(), second.String())
	cases := []struct {
		rev, ref string
		commit   Hash
	}{
		{"HEAD", "refs/heads/main", second},
		{"main", "refs/heads/main", second},
		{"both", "refs/heads/both", second},
		{"v1", "refs/tags/v1", first},
		{"refs/tags/both", "refs/tags/both", first},
		{"origin/topic", "refs/remotes/origin/topic", first},
		{first.String(), "", first},
		{first.String()[:12], "", first},
		{strings.ToUpper(second.String()[:12]), "", second},
		{"refs/heads/" + first.String(), "refs/heads/" + first.String(), second},
	}
	check := func(t *testing.T) {
		for _, c := range cases {
			ref, commit, err := r.Resolve(c.rev)
			if ref != c.ref || commit != c.commit || err != nil {
				t.Errorf("Resolve(%q) = %q, %s, %v; want %q, %s", c.rev, ref, commit, err, c.ref, c.commit)
			}
		}
		for _, rev := range []string{"", "nothing", "-x", "../HEAD", "heads/../main", "refs/heads/..", "abc", "main~1", "dead0"} {
			if _, _, err := r.Resolve(rev); !errors.Is(err, ErrRefNotFound) {
				t.Errorf("Resolve(%q) = %v, want ErrRefNotFound", rev, err)
			}
		}
	}
	t.Run("loose", check)
	cli(t, dir, "gc", "--quiet")
	t.Run("packed", check)
	if _, _, err := r.Resolve(strings.Repeat("12", 20)); !errors.Is(err, ErrObjectNotFound) {
		t.Errorf("Resolve of a missing commit = %v, want ErrObjectNotFound", err)
	}
}

func TestHead(t *testing.T) {
	r, _ := newBare(t)
	if branch, h, err := r.Head(); branch != "refs/heads/main" || !h.IsZero() || err != nil {
		t.Errorf("Head of an unborn branch = %q, %s, %v", branch, h, err)
	}
	w, dir := newWork(t, map[string]string{"a": "1"})
	want := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	cli(t, dir, "checkout", "--quiet", "--detach")
	if branch, h, err := w.Head(); branch != "" || h != want || err != nil {
		t.Errorf("detached Head = %q, %s, %v; want %s", branch, h, err, want)
	}
}

// TestReadDuringRepacks reads while git rewrites the packs below the reader.
func TestReadDuringRepacks(t *testing.T) {
	r, dir := newWork(t, nil)
	var contents []string
	for i := range 20 {
		contents = append(contents, strings.Repeat(fmt.Sprintf("content %d ", i), 2000))
		commitFiles(t, dir, map[string]string{fmt.Sprintf("f%d", i): contents[i]})
	}
	head := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			args := [][]string{{"repack", "-adFq"}, {"repack", "-adFq", "--window=0"}}[i%2] // another pack each time
			if _, err := tryCLI(dir, "", args...); err != nil {
				done <- err
				return
			}
		}
	}()
	for round := range 60 {
		r.objects.memo = memo{limit: memoLimit} // each round from disk
		for i, want := range contents {
			got, err := r.ReadFile(head, fmt.Sprintf("f%d", i), 1<<20)
			if err != nil || string(got) != want {
				t.Fatalf("round %d, file %d: %v", round, i, err)
			}
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
