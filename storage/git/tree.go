package git

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Mode says what a tree entry is, in git's numbers.
type Mode uint32

// The modes we write; trees of others hold more.
const (
	ModeTree Mode = 0o040000
	ModeFile Mode = 0o100644
)

// IsFile reports whether an entry with the mode is a regular file.
func (m Mode) IsFile() bool { return m&0o170000 == 0o100000 }

// A TreeEntry is one name in a folder. In results of Walk, Name is a path.
type TreeEntry struct {
	Name string
	Mode Mode
	Hash Hash
}

func parseTree(h Hash, content []byte) ([]TreeEntry, error) {
	var entries []TreeEntry
	for len(content) > 0 {
		head, rest, found := bytes.Cut(content, []byte{0})
		mode, name, spaced := strings.Cut(string(head), " ")
		number, err := strconv.ParseUint(mode, 8, 32)
		if !found || !spaced || err != nil || len(rest) < hashSize {
			return nil, fmt.Errorf("tree %s: %w", h, errCorrupt)
		}
		entries = append(entries, TreeEntry{Name: name, Mode: Mode(number), Hash: Hash(rest)})
		content = rest[hashSize:]
	}
	return entries, nil
}

// encodeTree sorts entries the way git does and refuses names that git would.
func encodeTree(entries []TreeEntry) ([]byte, error) {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, compareEntries)
	var b bytes.Buffer
	for i, entry := range entries {
		if err := checkEntryName(entry.Name); err != nil {
			return nil, err
		}
		if i > 0 && entries[i-1].Name == entry.Name {
			return nil, fmt.Errorf("tree holds %q twice", entry.Name)
		}
		fmt.Fprintf(&b, "%o %s\x00", entry.Mode, entry.Name)
		b.Write(entry.Hash[:])
	}
	return b.Bytes(), nil
}

// compareEntries orders a folder as if its name ended in a slash.
func compareEntries(a, b TreeEntry) int {
	return strings.Compare(sortName(a), sortName(b))
}

func sortName(e TreeEntry) string {
	if e.Mode == ModeTree {
		return e.Name + "/"
	}
	return e.Name
}

func checkEntryName(name string) error {
	switch {
	case name == "", name == ".", name == "..", strings.EqualFold(name, ".git"), strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%q cannot be a name in a tree", name)
	}
	return nil
}

// splitPath splits a path in a tree; "" is the tree itself.
func splitPath(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	parts := strings.Split(path, "/")
	for _, part := range parts {
		if err := checkEntryName(part); err != nil {
			return nil, errors.Join(fmt.Errorf("path %q", path), err)
		}
	}
	return parts, nil
}
