package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/storage/git"
)

// maxAlternates bounds the directories a repository may borrow objects from; git
// itself follows them five deep.
const maxAlternates = 32

// objectDirs lists the directories that hold a repository's objects: its own
// first, then those that it borrows from, and so on.
func objectDirs(repo *git.Repository) ([]string, error) {
	dirs := []string{filepath.Join(repo.CommonDir(), "objects")}
	for i := 0; i < len(dirs); i++ {
		list, err := os.ReadFile(filepath.Join(dirs[i], "info", "alternates"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find borrowed objects: %w", err)
		}
		for line := range strings.Lines(string(list)) {
			dir, ok := alternate(dirs[i], strings.TrimSuffix(line, "\n"))
			if ok && !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
		if len(dirs) > maxAlternates {
			return nil, fmt.Errorf("find borrowed objects: %s borrows from more than %d directories", dirs[0], maxAlternates)
		}
	}
	return dirs, nil
}

// alternate reads one line of an alternates file in dir. What is not there is no
// loss: git passes over it, too.
func alternate(dir, line string) (string, bool) {
	if line == "" || line[0] == '#' {
		return "", false
	}
	if !filepath.IsAbs(line) {
		line = filepath.Join(dir, line)
	}
	info, err := os.Stat(line)
	return filepath.Clean(line), err == nil && info.IsDir()
}
