package storage

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// An index saves a search from reading every build. It is never the authority: a
// section of it counts only for the very tree of a hundred builds that it was made
// of, all it does is rule builds out, and what a search returns is read from git.
// An index that is old, damaged or gone therefore costs time, and a folder that
// cannot be written to does no harm. Its files are beside those of the store:
// velocity/index/<store>-archive-<bbbb>, a file for each archive.

// worthIndexing is how many builds a search must have read one by one before it
// writes down what it saw: the last hundreds, which change with every build, are
// not worth a file each time.
const worthIndexing = 200

// A search is one run of a query.
type search struct {
	s      *Store
	q      Query
	blocks map[string]*indexed // by ref; what was opened of the index
	read   int                 // builds of which no index told
}

// indexed is what is known about one archive.
type indexed struct {
	trees    []git.Hash // of its hundreds
	sections sections
	changed  bool
}

func (s *Store) search(q Query) *search {
	return &search{s: s, q: q, blocks: map[string]*indexed{}}
}

// selects tells of a build that was read.
func (x *search) selects(b *build.Build) bool {
	if !x.q.narrows() {
		return true
	}
	sum := summarized(b)
	if x.q.Commit != "" {
		sum.commit = x.s.commitOf(b)
	}
	return x.q.selects(&sum)
}

// candidates lists the builds of a hundred without those that the query does not
// select for certain.
func (x *search) candidates(ctx context.Context, b block, hundreds []git.TreeEntry, tree git.Hash) ([]stand, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if !x.q.narrows() {
		return x.s.hundred(b.store, tree)
	}
	known := x.indexed(b, hundreds)
	if picked, err := x.pick(known.sections[tree]); err == nil {
		return x.picked(b.store, tree, picked)
	}
	section, err := x.summarize(ctx, b.store, tree)
	if err != nil {
		return nil, err
	}
	known.sections[tree], known.changed = section, true
	picked, err := x.pick(section)
	if err != nil {
		return nil, err
	}
	return x.picked(b.store, tree, picked)
}

// pick lists the numbers of a section's builds that the query may select.
func (x *search) pick(section string) (numbers []int64, err error) {
	err = decodeSummaries(section, func(b *summary) {
		if b.unsure || x.q.selects(b) {
			numbers = append(numbers, b.number)
		}
	})
	return numbers, err
}

// picked finds builds by their numbers in the tree itself.
func (x *search) picked(store string, tree git.Hash, numbers []int64) ([]stand, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	builds, err := x.s.hundred(store, tree)
	return slices.DeleteFunc(builds, func(at stand) bool { return !slices.Contains(numbers, at.id.Number) }), err
}

// summarize reads the builds of a hundred. One that cannot be read, or whose
// trigger names a tag, is to be looked at by every search.
func (x *search) summarize(ctx context.Context, store string, tree git.Hash) (string, error) {
	builds, err := x.s.hundred(store, tree)
	if err != nil {
		return "", err
	}
	summaries := make([]summary, len(builds))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, at := range builds {
		group.Go(func() error {
			b, err := x.s.build(at.id, at.tree)
			if err != nil {
				summaries[i] = summary{number: at.id.Number, unsure: true}
				return context.Cause(ctx)
			}
			summaries[i] = summarized(b)
			summaries[i].unsure = x.s.commitOf(b) != b.Trigger.Commit
			return context.Cause(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	x.read += len(builds)
	return encodeSummaries(summaries), nil
}

// indexed opens the index of an archive. Whatever is wrong with it, it is made
// anew.
func (x *search) indexed(b block, hundreds []git.TreeEntry) *indexed {
	known := x.blocks[b.ref.Name]
	if known == nil {
		known = &indexed{sections: decodeIndex(readIndex(x.s.indexFile(b.ref.Name)))}
		for _, hundred := range hundreds {
			known.trees = append(known.trees, hundred.Hash)
		}
		x.blocks[b.ref.Name] = known
	}
	return known
}

// readIndex is the content of an index file; "" if there is none that can be read.
func readIndex(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	var content strings.Builder
	if _, err := io.Copy(&content, io.LimitReader(file, maxIndex)); err != nil {
		return ""
	}
	return content.String()
}

func (s *Store) indexFile(ref string) string {
	name := strings.ReplaceAll(strings.TrimPrefix(ref, RefPrefix), "/", "-")
	return filepath.Join(s.folder(), "index", name)
}

// save writes down what the search had to find out, if it was much. Who may only
// read does without.
func (x *search) save() {
	if x.read < worthIndexing {
		return
	}
	for ref, known := range x.blocks {
		if known.changed {
			_ = x.s.replaceFile(x.s.indexFile(ref), encodeIndex(known.sections, known.trees)) // else the next search reads again
		}
	}
}
