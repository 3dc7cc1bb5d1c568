package app

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// foreign names folders of other people's code. What is in them says nothing about
// the project.
var foreign = map[string]bool{"node_modules": true, "vendor": true, "third_party": true, "testdata": true}

// errFound ends a search.
var errFound = errors.New("found")

// has reports whether one of the names is a file, and which.
func (p project) has(names ...string) (string, bool) {
	for _, name := range names {
		if info, err := fs.Stat(p.files, name); err == nil && info.Mode().IsRegular() {
			return name, true
		}
	}
	return "", false
}

// hasLike reports whether a file's name matches one of the patterns, and which: a
// pattern is our own text, other than a name that it matches.
func (p project) hasLike(patterns ...string) (string, bool) {
	for _, pattern := range patterns {
		names, err := fs.Glob(p.files, pattern)
		if err != nil {
			continue
		}
		if _, ok := p.has(names...); ok {
			return pattern, true
		}
	}
	return "", false
}

// isDir reports whether name is a folder.
func (p project) isDir(name string) bool {
	info, err := fs.Stat(p.files, name)
	return err == nil && info.IsDir()
}

// read returns a file's text, or "" if there is none.
func (p project) read(name string) (string, error) {
	if _, ok := p.has(name); !ok {
		return "", nil
	}
	data, err := fs.ReadFile(p.files, name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path.Join(p.dir, name), err)
	}
	return string(data), nil
}

// find reports whether a file below dir pleases, however deep. It does not look into
// foreign, hidden and virtual environments' folders. What is not there or cannot be
// read has nothing in it.
func (p project) find(dir string, pleases func(file string) (bool, error)) (bool, error) {
	err := fs.WalkDir(p.files, dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			_, virtual := p.has(path.Join(name, "pyvenv.cfg"))
			if virtual || foreign[entry.Name()] || name != "." && strings.HasPrefix(entry.Name(), ".") {
				return fs.SkipDir
			}
		case entry.Type().IsRegular():
			yes, err := pleases(name)
			if yes && err == nil {
				err = errFound
			}
			return err
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look through %s: %w", path.Join(p.dir, dir), err)
	}
	return false, nil
}
