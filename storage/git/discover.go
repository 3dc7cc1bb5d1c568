package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// location is where discovery found a repository.
type location struct {
	gitDir, commonDir string
	workTree          string // empty when bare
	gitFile           string // the .git file that led there, if any
}

// discover looks for a repository at path and upwards.
func discover(path string) (location, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return location{}, fmt.Errorf("find repository: %w", err)
	}
	// The real path, as git sees it: "above" means above the target of a link.
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return location{}, fmt.Errorf("%w: %w", ErrNotRepository, err)
	}
	for dir := real; ; dir = filepath.Dir(dir) {
		loc, err := repositoryAt(dir)
		if err == nil || !errors.Is(err, ErrNotRepository) {
			return loc, err
		}
		if dir == filepath.Dir(dir) {
			return location{}, fmt.Errorf("%w: %s (nor any folder above it)", ErrNotRepository, path)
		}
	}
}

// repositoryAt answers for one folder, without looking upwards.
func repositoryAt(dir string) (location, error) {
	dotGit := filepath.Join(dir, ".git")
	info, err := os.Stat(dotGit)
	switch {
	case err == nil && info.Mode().IsRegular():
		gitDir, err := readGitFile(dotGit)
		if err != nil {
			return location{}, err
		}
		loc, err := gitDirAt(gitDir)
		if err != nil {
			return location{}, fmt.Errorf("%s points to %s: %w", dotGit, gitDir, err)
		}
		loc.workTree, loc.gitFile = dir, dotGit
		return loc, nil
	case err == nil && info.IsDir():
		if loc, err := gitDirAt(dotGit); err == nil {
			loc.workTree = dir
			return loc, nil
		}
	}
	loc, err := gitDirAt(dir)
	if err == nil && filepath.Base(dir) == ".git" {
		loc.workTree = filepath.Dir(dir)
	}
	return loc, err
}

// readGitFile reads "gitdir: PATH", the form of .git in linked work trees and
// submodules; PATH may be relative to the file's folder.
func readGitFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read .git file: %w", err)
	}
	target, ok := strings.CutPrefix(strings.TrimRight(string(data), "\r\n"), "gitdir: ")
	if !ok {
		return "", fmt.Errorf("%w: %s has no gitdir line", ErrNotRepository, path)
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	return filepath.Clean(target), nil
}

// gitDirAt accepts dir as a git folder if it has HEAD and, itself or in its
// common folder, objects and refs: git's own test.
func gitDirAt(dir string) (location, error) {
	loc := location{gitDir: dir, commonDir: dir}
	if _, err := os.Lstat(filepath.Join(dir, "HEAD")); err != nil {
		return loc, notRepository(dir, err)
	}
	common, err := os.ReadFile(filepath.Join(dir, "commondir"))
	if err == nil {
		loc.commonDir = strings.TrimRight(string(common), "\r\n")
		if !filepath.IsAbs(loc.commonDir) {
			loc.commonDir = filepath.Join(dir, loc.commonDir)
		}
	}
	for _, folder := range []string{"objects", "refs"} {
		info, err := os.Stat(filepath.Join(loc.commonDir, folder))
		if err != nil {
			return loc, notRepository(dir, err)
		}
		if !info.IsDir() {
			return loc, fmt.Errorf("%w: %s/%s is not a folder", ErrNotRepository, loc.commonDir, folder)
		}
	}
	return loc, nil
}

// notRepository keeps apart "nothing there", which sends discovery upwards, from
// what a person must hear about, such as missing permission.
func notRepository(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("look for a repository: %w", err)
	}
	return fmt.Errorf("%w: %s", ErrNotRepository, dir)
}
