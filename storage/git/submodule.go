package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"unicode"
)

// ErrSubmodules says that the submodules of a commit cannot be had, now or later:
// its files say something that is wrong or not allowed.
var ErrSubmodules = errors.New("submodules cannot be fetched")

// A Submodule is a folder that another repository's commit belongs into.
type Submodule struct {
	Path   string // from the root, slash-separated, fit for a file name
	Commit Hash
	URL    string // as .gitmodules has it: nothing about it is checked
}

const (
	modeLink   Mode = 0o160000 // a submodule's commit in a tree
	modeSymbol Mode = 0o120000 // a symbolic link

	// maxModules bounds a .gitmodules, in bytes, maxModuleTree the files of a commit
	// among which submodules are looked for.
	maxModules    = 256 << 10
	maxModuleTree = 1_000_000
)

// Submodules lists those of a commit, ordered by path, each with the address that
// .gitmodules in the same commit gives it. Nothing else of that file is read.
//
// A submodule without an address, two for one path, and a path that no checkout
// may write to give ErrSubmodules with the name of the offender.
func (r *Repository) Submodules(ctx context.Context, commit Hash) ([]Submodule, error) {
	sections, err := r.moduleSections(ctx, commit)
	if err != nil {
		return nil, err
	}
	entries, err := r.Walk(commit, "", maxModuleTree)
	if errors.Is(err, ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", ErrSubmodules, err)
	}
	if err != nil {
		return nil, fmt.Errorf("look for submodules: %w", err)
	}
	urls, err := moduleURLs(sections, entries)
	if err != nil {
		return nil, fmt.Errorf("%w: .gitmodules of commit %s: %w", ErrSubmodules, commit, err)
	}
	var found []Submodule
	for _, e := range entries {
		if e.Mode != modeLink {
			continue
		}
		url, ok := urls[e.Name]
		if !ok {
			return nil, fmt.Errorf("%w: %q in commit %s is a submodule, and no section of .gitmodules has its path and url",
				ErrSubmodules, e.Name, commit)
		}
		found = append(found, Submodule{Path: e.Name, Commit: e.Hash, URL: url})
	}
	return found, nil
}

// moduleSection is what .gitmodules says about one name.
type moduleSection struct{ name, path, url string }

// moduleSections reads .gitmodules with git's own reader, which neither includes
// other files nor looks outside the one blob.
func (r *Repository) moduleSections(ctx context.Context, commit Hash) ([]moduleSection, error) {
	entry, err := r.Entry(commit, ".gitmodules")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for submodules: %w", err)
	}
	if !entry.Mode.IsFile() {
		return nil, fmt.Errorf("%w: .gitmodules of commit %s is not a regular file", ErrSubmodules, commit)
	}
	size, err := r.BlobSize(entry.Hash)
	if err != nil {
		return nil, fmt.Errorf("read .gitmodules: %w", err)
	}
	if size > maxModules {
		return nil, fmt.Errorf("%w: .gitmodules of commit %s has %d bytes, at most %d are read", ErrSubmodules, commit, size, maxModules)
	}
	out, err := r.git(ctx, "config", "--no-includes", "--null", "--blob", entry.Hash.String(), "--list")
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: .gitmodules of commit %s cannot be read: %w", ErrSubmodules, commit, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read .gitmodules: %w", err)
	}
	sections, err := parseModules(string(out))
	if err != nil {
		return nil, fmt.Errorf("%w: .gitmodules of commit %s: %w", ErrSubmodules, commit, err)
	}
	return sections, nil
}

// parseModules reads what git config --null --list prints: a key, a line break and
// a value, each followed by NUL. A key that is given twice has no one meaning.
func parseModules(listing string) ([]moduleSection, error) {
	var sections []moduleSection
	at := map[string]int{}
	for setting := range strings.SplitSeq(strings.TrimSuffix(listing, "\x00"), "\x00") {
		key, value, _ := strings.Cut(setting, "\n")
		name, isModule := strings.CutPrefix(key, "submodule.")
		dot := strings.LastIndexByte(name, '.')
		if !isModule || dot < 0 {
			continue
		}
		name, key = name[:dot], name[dot+1:]
		i, known := at[name]
		if !known {
			i = len(sections)
			at[name] = i
			sections = append(sections, moduleSection{name: name})
		}
		var field *string
		switch key {
		case "path":
			field = &sections[i].path
		case "url":
			field = &sections[i].url
		default:
			continue
		}
		if *field != "" || value == "" {
			return nil, fmt.Errorf("submodule %q: its %s is empty or there twice", name, key)
		}
		*field = value
	}
	return sections, nil
}

// moduleURLs are the addresses by path. Sections whose path is no submodule in the
// commit are left over from one that went, as long as they are harmless.
func moduleURLs(sections []moduleSection, entries []TreeEntry) (map[string]string, error) {
	symbolic := map[string]bool{}
	for _, e := range entries {
		if e.Mode == modeSymbol {
			symbolic[strings.ToLower(e.Name)] = true // as a file system may that does not tell case
		}
	}
	urls := map[string]string{}
	for _, s := range sections {
		if s.path == "" || s.url == "" {
			continue // whose commit is in the tree is missed there
		}
		if err := checkModulePath(s.path, symbolic); err != nil {
			return nil, fmt.Errorf("submodule %q: %w", s.name, err)
		}
		if _, twice := urls[s.path]; twice {
			return nil, fmt.Errorf("submodule %q: another section has the path %q, too", s.name, s.path)
		}
		urls[s.path] = s.url
	}
	return urls, nil
}

// checkModulePath refuses what could lead a checkout elsewhere, on any file
// system: a way out, a link, a name that some take for .git, and characters that
// one reader sees and the next does not.
func checkModulePath(path string, symbolic map[string]bool) error {
	if strings.HasPrefix(path, "-") || strings.ContainsAny(path, `\:`) || strings.ContainsFunc(path, hidden) {
		return fmt.Errorf("the path %q is not allowed: it begins with - or has characters that are not part of plain names", path)
	}
	parts, err := splitPath(path)
	if err != nil {
		return err
	}
	for i, part := range parts {
		if strings.TrimRight(part, ". ") != part || strings.HasPrefix(strings.ToLower(part), "git~") {
			return fmt.Errorf("the path %q is not allowed: %q may be another name of something else", path, part)
		}
		if link := strings.Join(parts[:i+1], "/"); symbolic[strings.ToLower(link)] {
			return fmt.Errorf("the path %q is not allowed: %q is a symbolic link", path, link)
		}
	}
	return nil
}

// hidden reports whether a character is not seen, or no character.
func hidden(c rune) bool {
	return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == unicode.ReplacementChar
}
