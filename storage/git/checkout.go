package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// workspaceConfig is all that a workspace's configuration says. The protections
// refuse names that another file system would take for .git.
const workspaceConfig = `[core]
	repositoryformatversion = 0
	filemode = true
	bare = false
	protectHFS = true
	protectNTFS = true
[gc]
	auto = 0
`

// Checkout makes a workspace at dir, which must not exist or be empty: the files
// of commit and a .git folder of its own, detached at commit, with the tags and,
// as refs/remotes/origin/*, the branches of r. It borrows r's objects, so r must
// outlive it. r itself is not changed: no work tree is registered, nothing is
// linked. Hooks, filters and submodules stay off.
//
// A commit that is gone gives ErrObjectNotFound. After an error dir is as before.
func (r *Repository) Checkout(ctx context.Context, dir string, commit Hash) error {
	if _, err := r.Commit(commit); err != nil {
		return fmt.Errorf("check out %s: %w", commit, err)
	}
	made, err := emptyFolder(dir)
	if err != nil {
		return fmt.Errorf("check out %s: %w", commit, err)
	}
	if err := r.fill(ctx, dir, commit); err != nil {
		return errors.Join(fmt.Errorf("check out %s: %w", commit, err), clear(dir, made))
	}
	return nil
}

// emptyFolder makes dir, or accepts it when it is empty.
func emptyFolder(dir string) (made bool, err error) {
	err = os.Mkdir(dir, 0o777)
	if !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", dir)
	}
	return false, err
}

// clear empties dir again and removes it if it was made.
func clear(dir string, made bool) error {
	if made {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}

func (r *Repository) fill(ctx context.Context, dir string, commit Hash) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	gitDir := filepath.Join(dir, ".git")
	if err := r.writeGitDir(gitDir, commit); err != nil {
		return err
	}
	_, err = r.run(ctx, command{
		gitDir:   gitDir,
		workTree: dir,
		dir:      dir,
		args:     []string{"read-tree", "--reset", "-u", commit.String()},
	})
	return err
}

// writeGitDir makes the .git folder by hand, which spares git init, git remote
// and git update-ref.
func (r *Repository) writeGitDir(gitDir string, commit Hash) error {
	objects := filepath.Join(r.commonDir, "objects")
	if strings.Contains(objects, "\n") {
		return fmt.Errorf("path %q cannot be borrowed from: it holds a line break", objects)
	}
	refs, err := r.workspaceRefs(func(Ref) bool { return true })
	if err != nil {
		return err
	}
	for _, folder := range []string{"objects/info", "objects/pack", "refs/heads", "info"} {
		if err := os.MkdirAll(filepath.Join(gitDir, folder), 0o777); err != nil {
			return err
		}
	}
	files := map[string][]byte{
		"HEAD":                    []byte(commit.String() + "\n"),
		"config":                  []byte(workspaceConfig),
		"objects/info/alternates": []byte(objects + "\n"),
		"packed-refs":             refs,
	}
	shallow, err := os.ReadFile(filepath.Join(r.commonDir, "shallow"))
	if err == nil {
		files["shallow"] = shallow
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(gitDir, name), content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// workspaceRefs is a packed-refs file with r's tags, and r's branches where a
// clone has them, as far as they are wanted.
func (r *Repository) workspaceRefs(want func(Ref) bool) ([]byte, error) {
	branches, _, err := r.Refs("refs/heads/")
	if err != nil {
		return nil, err
	}
	tags, _, err := r.Refs("refs/tags/")
	if err != nil {
		return nil, err
	}
	for i := range branches {
		branches[i].Name = "refs/remotes/origin/" + strings.TrimPrefix(branches[i].Name, "refs/heads/")
	}
	refs := slices.DeleteFunc(append(branches, tags...), func(ref Ref) bool { return !want(ref) })
	slices.SortFunc(refs, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	b.WriteString("# pack-refs with: sorted \n")
	for _, ref := range refs {
		fmt.Fprintf(&b, "%s %s\n", ref.Hash, ref.Name)
	}
	return b.Bytes(), nil
}
