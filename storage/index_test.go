package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// indexedRepo is a repository with n finished builds, of which every seventh
// failed and every hundredth is Eve's.
func indexedRepo(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo.git")
	if out, err := exec.Command("git", "init", "-q", "--bare", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	addBuilds(t, dir, n)
	return dir
}

func openIn(t *testing.T, dir string) *Store {
	t.Helper()
	repo, err := git.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return Open(repo, time.Now)
}

func addBuilds(t *testing.T, dir string, n int) {
	t.Helper()
	l, err := openIn(t, dir).Acquire(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		id, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, moves := finishedBuild(t, id)
		l.Append(build.Change{Build: b, Moves: moves}, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := l.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func finishedBuild(t *testing.T, id build.ID) (*build.Build, []build.Move) {
	t.Helper()
	at := time.Date(2026, 11, 22, 16, 5, 0, 0, time.UTC).Add(time.Duration(id.Number) * time.Minute)
	author, end := "Ann <ann@example.org>", build.Succeed
	if id.Number%100 == 0 {
		author = "Eve <eve@example.org>"
	}
	if id.Number%7 == 0 {
		end = build.Fail
	}
	b, moves := build.New(build.Request{
		ID: id, Kind: plan.OfPipeline, Name: "default", Author: author,
		Trigger: plan.Trigger{ID: id.String(), Event: plan.EventPush, Ref: "refs/heads/main", Commit: plan.Commit(fmt.Sprintf("%040x", id.Number)), Received: at},
		Stages:  []build.StagePlan{{Name: "test", Tasks: []build.TaskPlan{{Key: "s0t0", Name: "unit"}}}},
	}, at)
	moves = append(moves, b.Open(at)...)
	for _, on := range []build.Kind{build.Assign, build.Begin, end} {
		made, err := b.Do(build.Move{Kind: on, Task: "s0t0", Builder: "b1", At: at})
		if err != nil {
			t.Fatal(err)
		}
		moves = append(moves, made...)
	}
	return b, moves
}

// found lists the numbers of the builds that q selects.
func found(t *testing.T, s *Store, q Query) []int64 {
	t.Helper()
	q.Limit = 1 << 20
	builds, err := s.Builds(t.Context(), q)
	if err != nil {
		t.Fatalf("Builds(%+v): %v", q, err)
	}
	var numbers []int64
	for _, b := range builds {
		numbers = append(numbers, b.ID.Number)
	}
	return numbers
}

// searches are queries with what they find among the first n builds.
func searches(n int64) map[string]struct {
	q    Query
	want func(number int64) bool
} {
	day := time.Date(2026, 11, 22, 16, 5, 0, 0, time.UTC)
	return map[string]struct {
		q    Query
		want func(number int64) bool
	}{
		"author": {Query{Author: "EVE@"}, func(i int64) bool { return i%100 == 0 }},
		"state":  {Query{State: build.Failed}, func(i int64) bool { return i%7 == 0 }},
		"task":   {Query{Task: "unit", State: build.Failed}, func(i int64) bool { return i%7 == 0 }},
		"key":    {Query{Task: "s0t0", State: build.Failed, Author: "eve"}, func(i int64) bool { return i%700 == 0 }},
		"commit": {Query{Commit: plan.Commit(fmt.Sprintf("%040x", n/2))}, func(i int64) bool { return i == n/2 }},
		"time":   {Query{Since: day.Add(10 * time.Minute), Until: day.Add(20 * time.Minute)}, func(i int64) bool { return i >= 10 && i < 20 }},
		"none":   {Query{Ref: "refs/heads/other"}, func(int64) bool { return false }},
	}
}

// checkSearches holds a store to what its builds say.
func checkSearches(t *testing.T, s *Store, n int64) {
	t.Helper()
	for name, c := range searches(n) {
		var want []int64
		for i := n; i > 0; i-- {
			if c.want(i) {
				want = append(want, i)
			}
		}
		if diff := cmp.Diff(want, found(t, s, c.q)); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", name, diff)
		}
	}
}

// unindexed counts the builds that a search reads because no index tells of them.
func unindexed(t *testing.T, s *Store) int {
	t.Helper()
	x := s.search(Query{Author: "nobody"})
	stores, err := s.stores()
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range stores {
		for _, err := range s.newest(t.Context(), store, x) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return x.read
}

func TestSearchThroughTheIndex(t *testing.T) {
	const n = 320
	dir := indexedRepo(t, n)
	s := openIn(t, dir)
	if got := found(t, s, Query{}); len(got) != n {
		t.Fatalf("%d builds are stored; want %d", len(got), n)
	}
	files := func() []string {
		names, _ := filepath.Glob(filepath.Join(dir, "velocity", "index", "*"))
		return names
	}
	if len(files()) != 0 {
		t.Errorf("a list without a filter wrote %v", files())
	}
	if got := unindexed(t, s); got != n {
		t.Errorf("%d builds had to be read without an index; want %d", got, n)
	}
	checkSearches(t, s, n)
	if len(files()) != 1 {
		t.Fatalf("index files: %v; want one", files())
	}
	if got := unindexed(t, openIn(t, dir)); got != 0 {
		t.Errorf("%d builds had to be read beside the index; want none", got)
	}
	checkSearches(t, openIn(t, dir), n)
	addBuilds(t, dir, 5) // the last hundred changes, and the index with it does not count
	if got := unindexed(t, openIn(t, dir)); got != 26 {
		t.Errorf("%d builds had to be read after five more; want the 26 of the last hundred", got)
	}
	checkSearches(t, openIn(t, dir), n+5)
}

// Nothing that happens to an index file changes what a search finds.
func TestDamagedIndexIsMadeAnew(t *testing.T) {
	const n = 320
	dir := indexedRepo(t, n)
	checkSearches(t, openIn(t, dir), n)
	files, err := filepath.Glob(filepath.Join(dir, "velocity", "index", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("index files: %v, %v; want one", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	for i := len(indexMagic); i < len(flipped); i += 97 {
		flipped[i] ^= 1
	}
	stale := encodeIndex(sections{{1}: string(whole)}, []git.Hash{{1}})
	for name, content := range map[string][]byte{
		"empty": {}, "truncated": whole[:len(whole)/2], "another version": append([]byte("velocity index 2\n"), whole[len(indexMagic):]...),
		"flipped bits": flipped, "other names": bytes.ReplaceAll(whole, []byte("Eve <eve@"), []byte("Ann <ann@")),
		"another repository's": stale, "text": []byte("hello\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(files[0], content, 0o600); err != nil {
				t.Fatal(err)
			}
			checkSearches(t, openIn(t, dir), n)
			if got := unindexed(t, openIn(t, dir)); got >= worthIndexing {
				t.Errorf("%d builds are in no index; want it made anew", got)
			}
		})
	}
}

// A trigger may name a tag; its build is one of the commit.
func TestSearchByCommitSeesThroughTags(t *testing.T) {
	dir := indexedRepo(t, 1)
	run := func(stdin string, args ...string) plan.Commit {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return plan.Commit(strings.TrimSpace(string(out)))
	}
	commit := run("", "commit-tree", "-m", "one", string(run("", "mktree")))
	tag := run(fmt.Sprintf("object %s\ntype commit\ntag v1\ntagger a <a@example.org> 1 +0000\n\nv1\n", commit), "mktag")
	l, err := openIn(t, dir).Acquire(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, moves := finishedBuild(t, id)
	b.Trigger.Commit = tag
	l.Append(build.Change{Build: b, Moves: moves}, func(error) {})
	if err := l.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
	addBuilds(t, dir, worthIndexing)
	s := openIn(t, dir)
	if got := unindexed(t, s); got != worthIndexing+2 {
		t.Fatalf("%d builds had to be read; want all", got)
	}
	found(t, s, Query{Author: "nobody"})
	if got := found(t, openIn(t, dir), Query{Commit: commit}); !cmp.Equal(got, []int64{id.Number}) {
		t.Errorf("builds of the commit: %v; want %d", got, id.Number)
	}
	if got := unindexed(t, openIn(t, dir)); got != 0 {
		t.Errorf("%d builds are in no index", got)
	}
}

// Who may only read searches without an index.
func TestSearchWithoutAPlaceForTheIndex(t *testing.T) {
	const n = 210
	dir := indexedRepo(t, n)
	if err := os.WriteFile(filepath.Join(dir, "velocity", "index"), nil, 0o600); err != nil { // where its folder would be
		t.Fatal(err)
	}
	checkSearches(t, openIn(t, dir), n)
	if _, err := os.Stat(filepath.Join(dir, "velocity", "index", "x")); errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder was made after all")
	}
}

// What a caller does to a build does not reach the next one.
func TestListedBuildsAreTheCallers(t *testing.T) {
	s := openIn(t, indexedRepo(t, 3))
	for range 3 { // read, kept, and given again
		builds, err := s.Builds(t.Context(), Query{})
		if err != nil || len(builds) != 3 || builds[0].Stages[0].Tasks[0].State != build.Succeeded {
			t.Fatalf("Builds() = %v, %v; want three that succeeded", builds, err)
		}
		builds[0].Stages[0].Tasks[0].State = build.Failed
	}
	if len(s.decoded.known) != 3 {
		t.Errorf("%d builds are kept decoded; want 3", len(s.decoded.known))
	}
}

func TestDecodedBuildsAreBounded(t *testing.T) {
	var d decoded
	for i := range byte(100) {
		d.put(git.Hash{i}, &build.Build{}, maxDecoded/20)
	}
	if d.held > maxDecoded || len(d.known) == 0 {
		t.Errorf("%d builds of %d bytes are kept; want at most %d bytes", len(d.known), d.held, maxDecoded)
	}
	d.put(git.Hash{200}, &build.Build{}, maxDecoded)
	if _, ok := d.get(git.Hash{200}); ok {
		t.Error("a build that fills the cache alone is kept")
	}
}

func TestSummariesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 20, 40)
		task := rapid.Custom(func(t *rapid.T) taskSummary {
			return taskSummary{key: text.Draw(t, "key"), name: text.Draw(t, "name"), state: build.State(text.Draw(t, "state"))}
		})
		want := rapid.SliceOf(rapid.Custom(func(t *rapid.T) summary {
			return summary{
				number: rapid.Int64Min(1).Draw(t, "number"), unsure: rapid.Bool().Draw(t, "unsure"),
				state: build.State(text.Draw(t, "state")), name: text.Draw(t, "name"), ref: text.Draw(t, "ref"),
				author: text.Draw(t, "author"), actor: text.Draw(t, "actor"), commit: plan.Commit(text.Draw(t, "commit")),
				created: rapid.Int64().Draw(t, "created"), tasks: rapid.SliceOf(task).Draw(t, "tasks"),
			}
		})).Draw(t, "builds")
		tree := git.Hash{1}
		kept := decodeIndex(string(encodeIndex(sections{tree: encodeSummaries(want)}, []git.Hash{tree})))
		var got []summary
		err := decodeSummaries(kept[tree], func(b *summary) {
			one := *b
			one.tasks = slices.Clone(b.tasks)
			got = append(got, one)
		})
		if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(summary{}, taskSummary{}), cmp.Transformer("empty", func(s []taskSummary) string { return fmt.Sprint(s) })) && len(want) > 0 {
			t.Fatalf("decodeSummaries = %v, %v; want %v", got, err, want)
		}
	})
}

// FuzzIndex decodes what anybody may have put where the index is.
func FuzzIndex(f *testing.F) {
	section := encodeSummaries([]summary{{number: 1, name: "default", tasks: []taskSummary{{key: "s0t0", name: "unit"}}}})
	f.Add(string(encodeIndex(sections{{1}: section}, []git.Hash{{1}})), section)
	f.Add(indexMagic+strings.Repeat("\xff", 100), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, file, section string) {
		for tree, summaries := range decodeIndex(file) {
			if again := decodeIndex(string(encodeIndex(sections{tree: summaries}, []git.Hash{tree}))); again[tree] != summaries {
				t.Errorf("section %q came back as %q", summaries, again[tree])
			}
		}
		if err := decodeSummaries(section, func(*summary) {}); err != nil && !errors.Is(err, errBadSection) {
			t.Errorf("decodeSummaries(%q): %v", section, err)
		}
	})
}
