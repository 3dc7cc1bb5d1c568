package git

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestMemoForgets(t *testing.T) {
	m := memo{limit: 1 << 20}
	key := func(n int64) memoKey { return memoKey{pack: "p", offset: n} }
	has := func(n int64) bool { _, ok := m.get(key(n)); return ok }
	m.put(key(1), object{content: []byte("read again")})
	m.put(key(2), object{content: []byte("read once")})
	m.age()
	if !has(1) {
		t.Error("what was just read is forgotten")
	}
	m.age()
	if !has(1) || has(2) {
		t.Errorf("after two rests what was read in between is there: %v, what was not: %v; want true, false", has(1), has(2))
	}
	m.age()
	m.age()
	if has(1) || len(m.young)+len(m.old) > 0 {
		t.Errorf("an idle memo holds %d and %d objects", len(m.young), len(m.old))
	}
}

// However it is used, a memo holds no more than its limit, what was put last, and
// nothing that was not put.
func TestMemoIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := memo{limit: 1 << rapid.IntRange(10, 18).Draw(t, "limit")}
		for range rapid.IntRange(1, 300).Draw(t, "uses") {
			key := memoKey{offset: rapid.Int64Range(0, 50).Draw(t, "object")}
			want := make([]byte, 97*key.offset)
			switch o, ok := m.get(key); {
			case ok && len(o.content) != len(want):
				t.Fatalf("object %d has %d bytes, want %d", key.offset, len(o.content), len(want))
			case !ok:
				m.put(key, object{content: want})
				if _, ok := m.get(key); !ok && len(want) < m.limit/16 && m.limit > 8*memoEntry {
					t.Fatalf("object %d of %d bytes was not remembered", key.offset, len(want))
				}
			}
			held := 0
			for _, generation := range []map[memoKey]object{m.young, m.old} {
				for _, o := range generation {
					held += cap(o.content) + memoEntry
				}
			}
			if held > m.limit {
				t.Fatalf("%d bytes are held, at most %d may be", held, m.limit)
			}
		}
	})
}

func TestReadExactly(t *testing.T) {
	for _, c := range []struct {
		name string
		r    io.Reader
		size int64
		ok   bool
	}{
		{"nothing", strings.NewReader(""), 0, true},
		{"all", strings.NewReader("abc"), 3, true},
		{"short", strings.NewReader("abc"), 4, false},
		{"long", strings.NewReader("abc"), 2, false},
		{"fewer than none", strings.NewReader(""), -1, false},
		{"large", bytes.NewReader(make([]byte, atOnce+1)), atOnce + 1, true},
		{"large and short", bytes.NewReader(make([]byte, atOnce+1)), atOnce + 2, false},
		{"large and long", bytes.NewReader(make([]byte, atOnce+2)), atOnce + 1, false},
		{"announced only", strings.NewReader("abc"), 1 << 59, false},
		{"broken behind its end", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errors.New("checksum"))), 3, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readExactly(c.r, c.size)
			if (err == nil) != c.ok || c.ok && int64(len(got)) != c.size {
				t.Errorf("readExactly of %d bytes = %d bytes, %v", c.size, len(got), err)
			}
			if err != nil && !errors.Is(err, errCorrupt) {
				t.Errorf("%v does not say that the object is corrupt", err)
			}
			if c.ok && c.size <= atOnce && cap(got) != len(got) {
				t.Errorf("%d bytes hold on to %d", len(got), cap(got))
			}
		})
	}
}
