package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// An index file is indexMagic and then for each folder of a hundred builds: the
// hash of its tree, the length and the CRC-32C of what follows, and the summaries
// of its builds. Another version has another magic and counts as no index.
const indexMagic = "velocity index 1\n"

const (
	sectionHead = len(git.Hash{}) + 4 + 4
	maxIndex    = 64 << 20 // bytes of a file; one of ours has 1 to 3 MB
)

var errBadSection = errors.New("damaged section of an index")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(tree git.Hash, summaries string) uint32 {
	return crc32.Update(crc32.Checksum(tree[:], castagnoli), castagnoli, []byte(summaries))
}

// sections maps the trees of hundreds to their encoded summaries.
type sections map[git.Hash]string

// decodeIndex takes what is whole from the content of an index file.
func decodeIndex(data string) sections {
	found := sections{}
	rest, ok := strings.CutPrefix(data, indexMagic)
	for ok && len(rest) >= sectionHead {
		tree := git.Hash([]byte(rest[:len(git.Hash{})]))
		head := []byte(rest[len(git.Hash{}):sectionHead])
		size, sum := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
		rest = rest[sectionHead:]
		if uint64(size) > uint64(len(rest)) {
			break
		}
		if checksum(tree, rest[:size]) == sum {
			found[tree] = rest[:size]
		}
		rest = rest[size:]
	}
	return found
}

// encodeIndex prints the sections of trees, in this order.
func encodeIndex(of sections, trees []git.Hash) []byte {
	out := []byte(indexMagic)
	for _, tree := range trees {
		if summaries, ok := of[tree]; ok {
			out = append(out, tree[:]...)
			out = binary.BigEndian.AppendUint32(out, uint32(len(summaries)))
			out = binary.BigEndian.AppendUint32(out, checksum(tree, summaries))
			out = append(out, summaries...)
		}
	}
	return out
}

// encodeSummaries prints a section: the strings that occur, each once, and the
// builds with numbers in their place.
func encodeSummaries(builds []summary) string {
	w := sectionWriter{place: map[string]uint64{}}
	w.number(uint64(len(builds)))
	for i := range builds {
		w.summary(&builds[i])
	}
	table := binary.AppendUvarint(nil, uint64(len(w.texts)))
	for _, text := range w.texts {
		table = binary.AppendUvarint(table, uint64(len(text)))
		table = append(table, text...)
	}
	return string(table) + string(w.records)
}

type sectionWriter struct {
	records []byte
	texts   []string
	place   map[string]uint64
}

func (w *sectionWriter) number(n uint64) { w.records = binary.AppendUvarint(w.records, n) }

func (w *sectionWriter) text(s string) {
	at, ok := w.place[s]
	if !ok {
		at = uint64(len(w.texts))
		w.place[s], w.texts = at, append(w.texts, s)
	}
	w.number(at)
}

func (w *sectionWriter) summary(b *summary) {
	w.number(uint64(b.number))
	w.number(map[bool]uint64{true: 1}[b.unsure])
	for _, s := range []string{string(b.state), b.name, b.ref, b.author, b.actor, string(b.commit)} {
		w.text(s)
	}
	w.records = binary.AppendVarint(w.records, b.created)
	w.number(uint64(len(b.tasks)))
	for _, t := range b.tasks {
		w.text(t.key)
		w.text(t.name)
		w.text(string(t.state))
	}
}

// decodeSummaries gives each build of a section to see, which must not keep it. It
// trusts no length with an allocation.
func decodeSummaries(data string, see func(*summary)) error {
	r := sectionReader{rest: data}
	count := min(r.number(), uint64(len(data)))
	r.texts = make([]string, 0, count)
	for range count {
		n := r.number()
		if n > uint64(len(r.rest)) {
			return errBadSection
		}
		r.texts = append(r.texts, r.rest[:n])
		r.rest = r.rest[n:]
	}
	var b summary
	for n := r.number(); n > 0 && !r.bad; n-- {
		if r.summary(&b); !r.bad {
			see(&b)
		}
	}
	if r.bad || r.rest != "" {
		return errBadSection
	}
	return nil
}

type sectionReader struct {
	rest  string
	texts []string
	bad   bool
}

func (r *sectionReader) number() uint64 {
	var n uint64
	for i := range min(len(r.rest), binary.MaxVarintLen64) {
		c := r.rest[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
	}
	r.bad = true
	return 0
}

// signed reads what binary.AppendVarint wrote.
func (r *sectionReader) signed() int64 {
	n := r.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *sectionReader) text() string {
	at := r.number()
	if at >= uint64(len(r.texts)) {
		r.bad = true
		return ""
	}
	return r.texts[at]
}

func (r *sectionReader) summary(b *summary) {
	b.number, b.unsure = int64(r.number()), r.number() != 0
	b.state, b.name, b.ref = build.State(r.text()), r.text(), r.text()
	b.author, b.actor, b.commit = r.text(), r.text(), plan.Commit(r.text())
	b.created = r.signed()
	count := min(r.number(), uint64(len(r.rest)))
	b.tasks = slices.Grow(b.tasks[:0], int(count))
	for range count {
		b.tasks = append(b.tasks, taskSummary{key: r.text(), name: r.text(), state: build.State(r.text())})
	}
}
