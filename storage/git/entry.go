package git

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	zlibpool "github.com/go-git/go-git/v5/utils/sync"
)

// entry is a found object that is not decoded yet.
type entry interface {
	read(s *objectStore) (object, error)
	size() (int64, error)
}

// loose is the path of a loose object.
type loose string

func (l loose) open() (*objfile.Reader, *os.File, error) {
	file, err := os.Open(string(l))
	if err != nil {
		return nil, nil, err
	}
	reader, err := objfile.NewReader(file)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("loose object: %w: %w", errCorrupt, err), file.Close())
	}
	return reader, file, nil
}

func (l loose) read(*objectStore) (object, error) {
	reader, file, err := l.open()
	if err != nil {
		return object{}, err
	}
	defer file.Close()
	kind, size, err := reader.Header()
	if err != nil {
		return object{}, fmt.Errorf("loose object: %w: %w", errCorrupt, err)
	}
	if err := checkSize(kind, size); err != nil {
		return object{}, err
	}
	content, err := readExactly(reader, size)
	return object{kind, content}, err
}

func (l loose) size() (int64, error) {
	reader, file, err := l.open()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	_, size, err := reader.Header()
	if err != nil {
		return 0, fmt.Errorf("loose object: %w: %w", errCorrupt, err)
	}
	return size, nil
}

// packed is an object in a pack.
type packed struct {
	pack   *pack
	offset int64
}

// deltaDepth bounds how many deltas lie between an object and one stored whole;
// git's own limit for packs it writes is 4095.
const deltaDepth = 4096

func (e packed) read(s *objectStore) (object, error) {
	file, err := os.Open(e.pack.path + ".pack")
	if err != nil {
		return object{}, fmt.Errorf("open pack: %w", err)
	}
	defer file.Close()
	return e.resolve(s, file, deltaDepth)
}

// resolve decodes the entry and, for a delta, what it builds upon.
func (e packed) resolve(s *objectStore, file *os.File, depth int) (object, error) {
	key := memoKey{pack: e.pack.path, offset: e.offset}
	if o, ok := s.memo.get(key); ok {
		return o, nil
	}
	if depth == 0 {
		return object{}, fmt.Errorf("pack %s: %w: deltas without end", e.pack.path, errCorrupt)
	}
	head, body, err := e.head(file)
	if err != nil {
		return object{}, err
	}
	if err := checkSize(head.kind, head.size); err != nil {
		return object{}, err
	}
	content, err := inflate(body, head.size)
	if err != nil {
		return object{}, fmt.Errorf("pack %s: %w", e.pack.path, err)
	}
	if !head.kind.IsDelta() {
		return object{head.kind, content}, nil
	}
	base := packed{pack: e.pack, offset: head.baseOffset}
	if head.kind == plumbing.REFDeltaObject {
		offset, found, err := e.pack.find(head.base)
		if err != nil || !found {
			return object{}, fmt.Errorf("pack %s: %w: base %s: %w", e.pack.path, errCorrupt, head.base, err)
		}
		base.offset = offset
	}
	on, err := base.resolve(s, file, depth-1)
	if err != nil {
		return object{}, err
	}
	s.memo.put(memoKey{pack: base.pack.path, offset: base.offset}, on)
	if err := checkDelta(on.kind, content); err != nil {
		return object{}, fmt.Errorf("pack %s: %w", e.pack.path, err)
	}
	whole, err := packfile.PatchDelta(on.content, content)
	if err != nil {
		return object{}, fmt.Errorf("pack %s: %w: %w", e.pack.path, errCorrupt, err)
	}
	return object{on.kind, whole}, nil
}

// size reads the header only, and of a delta the start that tells the result's.
func (e packed) size() (int64, error) {
	file, err := os.Open(e.pack.path + ".pack")
	if err != nil {
		return 0, fmt.Errorf("open pack: %w", err)
	}
	defer file.Close()
	head, body, err := e.head(file)
	if err != nil || !head.kind.IsDelta() {
		return head.size, err
	}
	reader, err := zlibpool.GetZlibReader(body)
	if err != nil {
		return 0, fmt.Errorf("pack %s: %w: %w", e.pack.path, errCorrupt, err)
	}
	defer zlibpool.PutZlibReader(reader)
	size, err := readDeltaSize(bufio.NewReader(io.LimitReader(reader.Reader, 20)))
	if err != nil {
		return 0, fmt.Errorf("pack %s: %w", e.pack.path, err)
	}
	return size, nil
}

// readDeltaSize reads from the start of a delta how long its result is.
func readDeltaSize(r io.ByteReader) (int64, error) {
	if _, err := readSize(r, 0, 0); err != nil { // the base's size comes first
		return 0, err
	}
	return readSize(r, 0, 0)
}

// maxMeta bounds commits, trees and tags, in bytes: people can push what they
// like, and we read these whole. Blobs are bounded by who asks for them.
const maxMeta = 32 << 20

func checkSize(kind plumbing.ObjectType, size int64) error {
	switch kind {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.TagObject:
		if size > maxMeta {
			return fmt.Errorf("%s: %w: %d bytes, at most %d", kind, ErrTooLarge, size, maxMeta)
		}
		return nil
	default:
		return nil
	}
}

func checkDelta(kind plumbing.ObjectType, delta []byte) error {
	size, err := readDeltaSize(bytes.NewReader(delta))
	if err != nil {
		return err
	}
	return checkSize(kind, size)
}

// entryHead is what stands before an entry's compressed bytes.
type entryHead struct {
	kind       plumbing.ObjectType
	size       int64 // of the bytes below, inflated
	baseOffset int64 // of an offset delta
	base       Hash  // of a reference delta
}

func (e packed) head(file *os.File) (entryHead, *bufio.Reader, error) {
	const whole = 1<<62 - 1
	body := bufio.NewReader(io.NewSectionReader(file, e.offset, whole-e.offset))
	head, err := readEntryHead(body, e.offset)
	if err != nil {
		return head, nil, fmt.Errorf("pack %s at %d: %w", e.pack.path, e.offset, err)
	}
	return head, body, nil
}

func readEntryHead(r *bufio.Reader, at int64) (entryHead, error) {
	first, err := r.ReadByte()
	if err != nil {
		return entryHead{}, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	head := entryHead{kind: plumbing.ObjectType(first >> 4 & 7), size: int64(first & 15)}
	if first&0x80 != 0 {
		if head.size, err = readSize(r, head.size, 4); err != nil {
			return head, err
		}
	}
	switch head.kind {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
		return head, nil
	case plumbing.REFDeltaObject:
		if _, err := io.ReadFull(r, head.base[:]); err != nil {
			return head, fmt.Errorf("%w: %w", errCorrupt, err)
		}
		return head, nil
	case plumbing.OFSDeltaObject:
		back, err := readDistance(r)
		if err != nil || back <= 0 || back >= at {
			return head, fmt.Errorf("%w: base out of bounds", errCorrupt)
		}
		head.baseOffset = at - back
		return head, nil
	default:
		return head, fmt.Errorf("%w: type %d", errCorrupt, head.kind)
	}
}

// readSize reads git's little-endian number of seven bits a byte onto n.
func readSize(r io.ByteReader, n int64, shift uint) (int64, error) {
	for ; shift < 60; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errCorrupt, err)
		}
		n |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: size out of bounds", errCorrupt)
}

// readDistance reads git's big-endian number of seven bits a byte, in which each
// longer form starts where the shorter ones end.
func readDistance(r io.ByteReader) (int64, error) {
	var n int64
	for range 8 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n = n<<7 | int64(b&0x7f)
		if b&0x80 == 0 {
			return n, nil
		}
		n++
	}
	return 0, errCorrupt
}

func inflate(r io.Reader, size int64) ([]byte, error) {
	reader, err := zlibpool.GetZlibReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	defer zlibpool.PutZlibReader(reader)
	return readExactly(reader.Reader, size)
}

// readExactly reads size bytes and refuses more or fewer.
func readExactly(r io.Reader, size int64) ([]byte, error) {
	content, err := readUpTo(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	beyond, err := io.Copy(io.Discard, io.LimitReader(r, 1)) // a checksum is compared at the end, and not before
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	if int64(len(content)) != size || beyond > 0 {
		return nil, fmt.Errorf("%w: length differs from the %d bytes announced", errCorrupt, size)
	}
	return content, nil
}

// atOnce is up to which size, in bytes, an object gets its memory before it is there:
// no more than it needs, since it may be remembered. What announces to be larger has to
// come first.
const atOnce = 64 << 10

// readUpTo reads size bytes, or what there is.
func readUpTo(r io.Reader, size int64) ([]byte, error) {
	if size > atOnce {
		var buf bytes.Buffer
		buf.Grow(atOnce)
		_, err := io.Copy(&buf, io.LimitReader(r, size))
		return buf.Bytes(), err
	}
	content := make([]byte, max(size, 0)) // a loose object may say it has fewer than none
	n, err := io.ReadFull(r, content)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // it is shorter
	}
	return content[:n], err
}
