package git

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// packedRefs is the content of a packed-refs file: one "HASH NAME" a line, "^"
// lines with what the tag before points to, and "#" lines.
type packedRefs struct {
	head   []byte // the first line if it is a "#" line, with what the file promises
	data   []byte // the lines after it
	sorted bool   // by name, as git has written them since 2018
}

// readPackedRefs reads the file now. It is not cached: sizes and times of files
// are too coarse to tell that another process replaced it.
func (r *Repository) readPackedRefs() (packedRefs, error) {
	data, err := os.ReadFile(filepath.Join(r.commonDir, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return packedRefs{}, nil
	}
	if err != nil {
		return packedRefs{}, fmt.Errorf("read packed refs: %w", err)
	}
	return newPackedRefs(data), nil
}

func newPackedRefs(data []byte) packedRefs {
	head, rest, _ := bytes.Cut(data, []byte("\n"))
	if !bytes.HasPrefix(head, []byte("#")) {
		return packedRefs{data: data}
	}
	sorted := slices.Contains(strings.Fields(string(head)), "sorted")
	return packedRefs{head: data[:len(data)-len(rest)], data: rest, sorted: sorted}
}

// parsePackedLine reads one line; ok is false for those that hold no ref.
func parsePackedLine(line []byte) (ref Ref, ok bool) {
	if len(line) < hexSize+2 || line[hexSize] != ' ' {
		return Ref{}, false
	}
	h, err := ParseHash(string(line[:hexSize]))
	name := string(bytes.TrimSuffix(line[hexSize+1:], []byte("\r")))
	if err != nil || !readableRef(name) {
		return Ref{}, false
	}
	return Ref{Name: name, Hash: h}, true
}

// find returns the value of one ref.
func (p packedRefs) find(name string) (Hash, bool) {
	for ref := range p.from(name) {
		if ref.Name == name {
			return ref.Hash, true
		}
		if p.sorted && ref.Name > name {
			break
		}
	}
	return Zero, false
}

// withPrefix calls yield with all refs whose name begins with prefix.
func (p packedRefs) withPrefix(prefix string, yield func(Ref)) {
	for ref := range p.from(prefix) {
		if strings.HasPrefix(ref.Name, prefix) {
			yield(ref)
		} else if p.sorted && ref.Name > prefix {
			return
		}
	}
}

// from ranges over the refs, in a sorted file beginning near name.
func (p packedRefs) from(name string) func(func(Ref) bool) {
	data := p.data
	if p.sorted {
		data = data[p.lineBefore(name):]
	}
	return func(yield func(Ref) bool) {
		for line := range bytes.Lines(data) {
			if ref, ok := parsePackedLine(bytes.TrimSuffix(line, []byte("\n"))); ok && !yield(ref) {
				return
			}
		}
	}
}

// lineBefore returns the offset of a line at or before the first ref with a name
// not less than name, by binary search over bytes.
func (p packedRefs) lineBefore(name string) int {
	at := sort.Search(len(p.data), func(i int) bool {
		ref, ok := p.firstAt(i)
		return !ok || ref.Name >= name
	})
	return bytes.LastIndexByte(p.data[:at], '\n') + 1
}

// firstAt returns the first ref in a line that ends after offset i.
func (p packedRefs) firstAt(i int) (Ref, bool) {
	start := bytes.LastIndexByte(p.data[:i], '\n') + 1
	for line := range bytes.Lines(p.data[start:]) {
		if ref, ok := parsePackedLine(bytes.TrimSuffix(line, []byte("\n"))); ok {
			return ref, true
		}
	}
	return Ref{}, false
}

// without returns the file's content, ready to be written, less some refs, and
// whether any of them was in it.
func (p packedRefs) without(names map[string]bool) (content []byte, changed bool) {
	var b bytes.Buffer
	b.Write(p.head)
	dropped := false
	for line := range bytes.Lines(p.data) {
		if line[0] != '^' {
			ref, ok := parsePackedLine(bytes.TrimSuffix(line, []byte("\n")))
			dropped = ok && names[ref.Name]
			changed = changed || dropped
		}
		if !dropped {
			b.Write(line)
		}
	}
	return b.Bytes(), changed
}
