package storage

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"

	"github.com/velocity-ci/velocity/storage/git"
)

// partSize is the most that one object of a log holds, in bytes: what forges
// advise for an object, far below what they refuse.
const partSize = 1 << 20

// partName is the name of the i-th part: the file's own for the first, so that a
// log which fits into one is just a file. Four digits are enough for maxLog.
func partName(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("%s.%04d", name, i)
}

// split cuts a file into parts, behind the end of a line where one is near.
func split(data []byte) (parts [][]byte) {
	for len(data) > partSize {
		end := bytes.LastIndexByte(data[:partSize], '\n') + 1
		if end <= partSize/2 { // lines as long as that are not for people
			end = partSize
		}
		parts, data = append(parts, data[:end]), data[end:]
	}
	return append(parts, data)
}

// joined reads all parts of a file in a folder, or fails with fs.ErrNotExist.
func (s *Store) joined(folder git.Hash, name string) ([]byte, error) {
	parts, err := s.parts(folder, name)
	if err != nil {
		return nil, err
	}
	var content []byte
	for _, e := range parts {
		part, err := s.repo.ReadBlob(e.Hash, maxLog-int64(len(content)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
		content = append(content, part...)
	}
	return content, nil
}

// parts lists the parts of a file in a folder, in order, or fails with
// fs.ErrNotExist.
func (s *Store) parts(folder git.Hash, name string) ([]git.TreeEntry, error) {
	entries, err := s.repo.List(folder, "")
	if err != nil {
		return nil, err
	}
	var found []git.TreeEntry
	for _, e := range entries { // sorted by name: a file comes before its further parts
		if e.Name != name && !strings.HasPrefix(e.Name, name+".") {
			continue
		}
		if e.Name != partName(name, len(found)) {
			return nil, fmt.Errorf("%s stands where %s is missing", e.Name, partName(name, len(found)))
		}
		found = append(found, e)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return found, nil
}
