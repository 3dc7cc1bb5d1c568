package storage

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSplit: parts put together are the whole, none is too large, and lines stay
// whole unless they are longer than anybody reads.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := generated(rapid.SliceOfN(rapid.IntRange(0, 3*partSize/2), 0, 4).Draw(t, "lines"))
		parts := split(data)
		if whole := bytes.Join(parts, nil); !bytes.Equal(whole, data) {
			t.Fatalf("%d bytes became %d", len(data), len(whole))
		}
		for i, part := range parts {
			if len(part) > partSize {
				t.Errorf("part %d has %d bytes", i, len(part))
			}
			last := i == len(parts)-1
			if !last && part[len(part)-1] != '\n' && bytes.ContainsRune(part[partSize/2:], '\n') {
				t.Errorf("part %d ends within a line", i)
			}
		}
	})
}

// generated has lines of the given lengths, repeated until there are some parts.
func generated(lengths []int) []byte {
	var b bytes.Buffer
	for i := 0; i < 20*len(lengths) && b.Len() < 4*partSize; i++ {
		b.WriteString(strings.Repeat("x", lengths[i%len(lengths)]) + "\n")
	}
	return b.Bytes()
}
