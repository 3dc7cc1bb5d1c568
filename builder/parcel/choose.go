package parcel

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Choose lists what the patterns select below root, sorted. A pattern that
// matches a folder selects all that is in it; one that begins with ! takes away
// what those before it selected, or of everything if it is the first. Folders are
// listed themselves, and links are not followed. What matches nothing is no error.
func Choose(root *os.Root, patterns []string, most int) ([]string, error) {
	c := &choice{root: root, most: most, chosen: map[string]bool{}}
	if len(patterns) > 0 && strings.HasPrefix(patterns[0], "!") {
		patterns = append([]string{"**"}, patterns...)
	}
	for _, pattern := range patterns {
		clean, err := cleaned(strings.TrimPrefix(pattern, "!"))
		if err == nil && strings.HasPrefix(pattern, "!") {
			c.remove(clean)
		} else if err == nil {
			err = c.add(clean)
		}
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(c.chosen)), nil
}

// A choice collects names.
type choice struct {
	root   *os.Root
	most   int
	chosen map[string]bool
}

// cleaned is a pattern as the names are that it is compared with.
func cleaned(pattern string) (string, error) {
	clean := path.Clean(pattern)
	if pattern == "" || !doublestar.ValidatePattern(clean) || path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", refused("the pattern %q selects nothing within the workspace", pattern)
	}
	return clean, nil
}

// remove takes away what a pattern matches, and what is in folders that it matches.
func (c *choice) remove(clean string) {
	for name := range c.chosen {
		for way := range ways(name) {
			if doublestar.MatchUnvalidated(clean, way) {
				delete(c.chosen, name)
			}
		}
	}
}

func (c *choice) add(clean string) error {
	base, _ := doublestar.SplitPattern(clean)
	if info, err := lstat(c.root, base); err != nil || info == nil || !info.IsDir() {
		return err
	}
	return fs.WalkDir(c.root.FS(), base, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if isGit(entry.Name()) {
			return skip(entry)
		}
		if !doublestar.MatchUnvalidated(clean, name) {
			return nil
		}
		if !entry.IsDir() {
			return c.take(name)
		}
		if err := c.all(name); err != nil {
			return err
		}
		return fs.SkipDir
	})
}

// lstat looks at a name that no link leads through; nil if there is none.
func lstat(root *os.Root, name string) (info fs.FileInfo, err error) {
	for way := range ways(name) {
		if info != nil && !info.IsDir() {
			return nil, nil
		}
		info, err = root.Lstat(way)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return info, nil
}

// all takes a folder and what is in it.
func (c *choice) all(dir string) error {
	return fs.WalkDir(c.root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if isGit(entry.Name()) {
			return skip(entry)
		}
		return c.take(name)
	})
}

func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (c *choice) take(name string) error {
	if name == "." {
		return nil
	}
	if c.chosen[name] = true; len(c.chosen) > c.most {
		return refused("there are more than %d files", c.most)
	}
	return checkName(name)
}

// ways yields a, a/b and a/b/c for a/b/c.
func ways(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i, c := range name {
			if c == '/' && !yield(name[:i]) {
				return
			}
		}
		yield(name)
	}
}
