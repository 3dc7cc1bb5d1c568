package git

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
)

// pack is one pack file with its index. Big indexes stay on disk and are
// searched there, so that opening a huge repository costs what is read and not
// what it holds.
type pack struct {
	path string // without extension

	mu    sync.Mutex
	index *index
}

// errCorrupt says that a pack or its index is not what it should be.
var errCorrupt = errors.New("corrupt")

// inMemory is the size in bytes up to which an index is kept in memory: 35,000
// objects, more than any pack of ours between two rounds of upkeep.
const inMemory = 1 << 20

// index is a version 2 pack index.
type index struct {
	path   string
	data   []byte // the whole file, or nil when it is big
	fanout [256]uint32
	size   int64
}

const (
	indexHeader = 8
	indexNames  = indexHeader + 256*4
	hashSize    = hexSize / 2
)

// opened returns the pack's index, read at first use.
func (p *pack) opened() (*index, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index != nil {
		return p.index, nil
	}
	x, err := openIndex(p.path + ".idx")
	if err != nil {
		return nil, err
	}
	p.index = x
	return x, nil
}

func openIndex(path string) (*index, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open pack index: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open pack index: %w", err)
	}
	x := &index{path: path, size: info.Size()}
	head := make([]byte, indexNames)
	if _, err := io.ReadFull(file, head); err != nil {
		return nil, fmt.Errorf("pack index %s: %w: %w", path, errCorrupt, err)
	}
	if err := x.parseHead(head); err != nil {
		return nil, fmt.Errorf("pack index %s: %w", path, err)
	}
	if x.size > inMemory {
		return x, nil
	}
	x.data = make([]byte, x.size)
	if _, err := file.ReadAt(x.data, 0); err != nil {
		return nil, fmt.Errorf("read pack index: %w", err)
	}
	return x, nil
}

// parseHead reads the fanout table: how many names begin with a byte up to i.
func (x *index) parseHead(head []byte) error {
	if !bytes.HasPrefix(head, []byte("\xfftOc\x00\x00\x00\x02")) {
		return fmt.Errorf("%w: not version 2", errCorrupt)
	}
	last := uint32(0)
	for i := range x.fanout {
		x.fanout[i] = binary.BigEndian.Uint32(head[indexHeader+4*i:])
		if x.fanout[i] < last {
			return fmt.Errorf("%w: names out of order", errCorrupt)
		}
		last = x.fanout[i]
	}
	if need := int64(indexNames) + x.count()*(hashSize+4+4) + 2*hashSize; x.size < need {
		return fmt.Errorf("%w: %d bytes, want %d", errCorrupt, x.size, need)
	}
	return nil
}

func (x *index) count() int64 { return int64(x.fanout[255]) }

// bytesAt returns n bytes of the index file from offset.
func (x *index) bytesAt(file *os.File, offset, n int64) ([]byte, error) {
	if x.data != nil {
		if offset+n > int64(len(x.data)) {
			return nil, errCorrupt
		}
		return x.data[offset : offset+n], nil
	}
	buf := make([]byte, n)
	_, err := file.ReadAt(buf, offset)
	return buf, err
}

// file opens the index file if it is not in memory; both results may be nil.
func (x *index) file() (*os.File, error) {
	if x.data != nil {
		return nil, nil
	}
	return os.Open(x.path)
}

// bucket returns the position of the first name that begins with b and the
// names themselves.
func (x *index) bucket(file *os.File, b byte) (first int64, names []byte, err error) {
	if b > 0 {
		first = int64(x.fanout[b-1])
	}
	n := int64(x.fanout[b]) - first
	names, err = x.bytesAt(file, indexNames+first*hashSize, n*hashSize)
	return first, names, err
}

// find returns where in the pack file h begins.
func (p *pack) find(h Hash) (offset int64, found bool, err error) {
	x, err := p.opened()
	if err != nil {
		return 0, false, err
	}
	file, err := x.file()
	if err != nil {
		return 0, false, fmt.Errorf("search pack index: %w", err)
	}
	if file != nil {
		defer file.Close()
	}
	first, names, err := x.bucket(file, h[0])
	if err != nil {
		return 0, false, fmt.Errorf("search pack index %s: %w", x.path, err)
	}
	n := len(names) / hashSize
	name := func(i int) []byte { return names[i*hashSize : (i+1)*hashSize] }
	i := sort.Search(n, func(i int) bool { return bytes.Compare(name(i), h[:]) >= 0 })
	if i == n || !bytes.Equal(name(i), h[:]) {
		return 0, false, nil
	}
	offset, err = x.offset(file, first+int64(i))
	if err != nil {
		return 0, false, fmt.Errorf("search pack index %s: %w", x.path, err)
	}
	return offset, true, nil
}

// offset reads the i-th entry of the offset table; packs above 2 GiB keep theirs
// in a second table.
func (x *index) offset(file *os.File, i int64) (int64, error) {
	table := indexNames + x.count()*(hashSize+4)
	raw, err := x.bytesAt(file, table+4*i, 4)
	if err != nil {
		return 0, err
	}
	short := binary.BigEndian.Uint32(raw)
	if short>>31 == 0 {
		return int64(short), nil
	}
	raw, err = x.bytesAt(file, table+4*x.count()+8*int64(short&0x7fffffff), 8)
	if err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(raw)), nil
}

// names calls yield with every object of the pack, in order.
func (p *pack) names(yield func(Hash)) error {
	x, err := p.opened()
	if err != nil {
		return err
	}
	file, err := x.file()
	if err != nil {
		return fmt.Errorf("list pack: %w", err)
	}
	if file != nil {
		defer file.Close()
	}
	for b := range 256 {
		_, names, err := x.bucket(file, byte(b))
		if err != nil {
			return fmt.Errorf("list pack %s: %w", x.path, err)
		}
		for ; len(names) >= hashSize; names = names[hashSize:] {
			yield(Hash(names))
		}
	}
	return nil
}

// withPrefix calls yield with the objects whose hex name begins with prefix,
// which has at least two digits.
func (p *pack) withPrefix(prefix prefix, yield func(Hash)) error {
	x, err := p.opened()
	if err != nil {
		return err
	}
	file, err := x.file()
	if err != nil {
		return fmt.Errorf("search pack: %w", err)
	}
	if file != nil {
		defer file.Close()
	}
	_, names, err := x.bucket(file, prefix.first())
	if err != nil {
		return fmt.Errorf("search pack %s: %w", x.path, err)
	}
	for ; len(names) >= hashSize; names = names[hashSize:] {
		if h := Hash(names); prefix.matches(h) {
			yield(h)
		}
	}
	return nil
}
