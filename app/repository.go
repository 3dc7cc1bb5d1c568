package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/storage/git"
)

// repoFlag adds --repo to a command that works on one repository.
func repoFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("repo", ".", "`path` of the repository, or of a folder in it")
}

func openRepository(ctx context.Context, path string) (*git.Repository, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, usage("open repository: %w", err)
	}
	r, err := git.Open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return r, nil
}

// A worktree is the files of a checkout as they are now. Links within it are
// followed, those that leave it are refused, as is all that is no regular file.
type worktree struct{ root *os.Root }

// List implements blueprint.Tree.
func (w worktree) List(dir string) ([]string, error) {
	info, err := w.root.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []string
	err = fs.WalkDir(w.root.FS(), dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// Read implements blueprint.Tree.
func (w worktree) Read(path string) ([]byte, error) {
	// Opening a named pipe would wait for its writer without this flag.
	file, err := w.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, usage("%s is not a regular file", path)
	}
	return io.ReadAll(io.LimitReader(file, blueprint.MaxFile+1))
}

// A commitTree is the files of one commit.
type commitTree struct {
	repo   *git.Repository
	commit git.Hash
}

// treeLimit bounds the files of a configuration folder that are looked at; the
// language itself allows fewer.
const treeLimit = 20_000

// List implements blueprint.Tree.
func (t commitTree) List(dir string) ([]string, error) {
	entries, err := t.repo.Walk(t.commit, dir, treeLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if e.Mode.IsFile() {
			files = append(files, path.Join(dir, e.Name))
		}
	}
	return files, nil
}

// Read implements blueprint.Tree.
func (t commitTree) Read(path string) ([]byte, error) {
	entry, err := t.repo.Entry(t.commit, path)
	if err != nil {
		return nil, err
	}
	if !entry.Mode.IsFile() {
		return nil, usage("%s is not a regular file in commit %s", path, t.commit)
	}
	// Of a larger file a part would do, but no more of it is kept in memory than
	// one object of the repository.
	data, err := t.repo.ReadBlob(entry.Hash, 64*blueprint.MaxFile)
	if errors.Is(err, git.ErrTooLarge) {
		return nil, usage("%s: the file is larger than %d KiB", path, blueprint.MaxFile>>10)
	}
	return data, err
}
