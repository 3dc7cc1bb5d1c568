package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// renewGraph writes the repository's commit-graph anew if it has one, before
// anything is dropped: git's gc lists the commits of our live refs in it, and fsck
// counts as damage a commit that is listed there and missing.
func (r *Repository) renewGraph(ctx context.Context) error {
	info := filepath.Join(r.commonDir, "objects", "info")
	for _, form := range []struct {
		path    string
		options []string
	}{
		{filepath.Join(info, "commit-graph"), nil},
		{filepath.Join(info, "commit-graphs", "commit-graph-chain"), []string{"--split=replace"}},
	} {
		_, err := os.Stat(form.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := r.git(ctx, append([]string{"commit-graph", "write", "--reachable", "--no-progress"}, form.options...)...); err != nil {
			return err
		}
	}
	return nil
}
