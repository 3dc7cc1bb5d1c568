package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Describe names a commit by the nearest annotated tag before it, or with all by
// the nearest ref of any kind; failing that by the beginning of its id.
func (r *Repository) Describe(ctx context.Context, commit Hash, all bool) (string, error) {
	args := []string{"describe", "--always"}
	if all {
		args = append(args, "--all")
	}
	out, err := r.git(ctx, append(args, commit.String())...)
	return strings.TrimSpace(string(out)), err
}

// Changes lists the paths in the work tree that differ from HEAD, untracked ones
// included and ignored ones not; none means that the commit says all. The user's
// own list of ignored files counts, as in their git status.
func (r *Repository) Changes(ctx context.Context) ([]string, error) {
	if r.workTree == "" {
		return nil, errors.New("a bare repository has no work tree")
	}
	ignored, err := userIgnores(ctx, r.gitDir)
	if err != nil {
		return nil, err
	}
	out, err := r.run(ctx, command{
		workTree: r.workTree,
		dir:      r.workTree,
		options:  []string{"core.excludesFile=" + ignored},
		args:     []string{"status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal"},
	})
	if err != nil {
		return nil, err
	}
	var paths []string
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if len(entry) > 3 { // two letters, a space, the path
			paths = append(paths, entry[3:])
		}
	}
	return paths, nil
}

// userIgnores is the file of ignore patterns the user's git would read.
func userIgnores(ctx context.Context, gitDir string) (string, error) {
	values, err := userSetting(ctx, gitDir, "core.excludesFile")
	if err != nil {
		return "", err
	}
	if len(values) > 0 {
		return values[len(values)-1], nil
	}
	folder := os.Getenv("XDG_CONFIG_HOME")
	if folder == "" {
		folder = filepath.Join(os.Getenv("HOME"), ".config")
	}
	return filepath.Join(folder, "git", "ignore"), nil // git's default place
}
