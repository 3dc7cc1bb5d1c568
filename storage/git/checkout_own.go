package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// CheckoutOwn is Checkout with a copy of every object that the workspace's refs
// reach, so that nothing in it refers to r: for code that must not even read what
// else r holds, and that may outlive it. The copy is made of the objects' bytes,
// never of links to r's files.
func (r *Repository) CheckoutOwn(ctx context.Context, dir string, commit Hash) error {
	made, err := emptyFolder(dir)
	if err != nil {
		return fmt.Errorf("check out %s: %w", commit, err)
	}
	err = r.Checkout(ctx, dir, commit)
	if err == nil {
		err = r.detach(ctx, filepath.Join(dir, ".git"))
	}
	if err != nil {
		return errors.Join(err, clear(dir, made))
	}
	return nil
}

// detach makes the repository at gitDir independent of the one it borrows from.
func (r *Repository) detach(ctx context.Context, gitDir string) error {
	gitDir, err := filepath.Abs(gitDir)
	if err != nil {
		return fmt.Errorf("copy objects: %w", err)
	}
	// Without --local, repack packs borrowed objects, too.
	_, err = r.run(ctx, command{gitDir: gitDir, dir: gitDir, args: []string{"repack", "-a", "-d", "--quiet"}})
	if err == nil {
		err = os.Remove(filepath.Join(gitDir, "objects", "info", "alternates"))
	}
	if err != nil {
		return fmt.Errorf("copy objects: %w", err)
	}
	return nil
}
