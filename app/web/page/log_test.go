package page

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawLog is a log with lines of all lengths, also of those that are cut, which may
// end in the midst of one.
func drawLog(t *rapid.T) string {
	var text strings.Builder
	for range rapid.IntRange(0, 6).Draw(t, "lines") {
		text.WriteString(strings.Repeat(rapid.StringMatching(`[a-c]`).Draw(t, "letter"), rapid.SampledFrom([]int{0, 1, 7, MaxLine, MaxLine + 1, 2 * MaxLine}).Draw(t, "length")))
		text.WriteByte('\n')
	}
	return text.String() + rapid.SampledFrom([]string{"", "half", strings.Repeat("z", MaxLine+5)}).Draw(t, "rest")
}

// shownLines are the lines of a whole log, by the plain meaning of the words.
func shownLines(text string) []Line {
	var lines []Line
	offset := int64(0)
	for i, line := range strings.SplitAfter(text, "\n") {
		bare := strings.TrimSuffix(line, "\n")
		if line != "" {
			lines = append(lines, Line{Number: i + 1, Spans: Spans([]byte(bare[:min(len(bare), MaxLine)])), Cut: len(bare) > MaxLine, Offset: offset})
		}
		offset += int64(len(line))
	}
	return lines
}

// However a log comes in pieces, and wherever whoever follows it begins anew, its
// lines are the same.
func TestCutter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawLog(t)
		c := &Cutter{Place: Place{Number: 1}}
		var got []Line
		for c.Offset < int64(len(text)) {
			n := min(rapid.IntRange(1, 5*MaxLine).Draw(t, "piece"), len(text)-int(c.Offset))
			data := text[c.Offset:][:n]
			before := c.Place
			got = append(got, c.Take([]byte(data), int(c.Offset)+n == len(text))...)
			if c.Place == before && n > MaxLine {
				t.Fatalf("nothing of %d bytes was taken at %v", n, before)
			}
			if rapid.Bool().Draw(t, "broken off") {
				place, ok := ParsePlace(c.Place.String())
				if !ok || place != c.Place {
					t.Fatalf("the place %q is read as %v, %v", c.Place, place, ok)
				}
				c = &Cutter{Place: place, Skipping: place.Offset > 0 && text[place.Offset-1] != '\n'}
			}
		}
		if want := shownLines(text); !reflect.DeepEqual(want, got) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

func TestParsePlace(t *testing.T) {
	for _, text := range []string{"", "-", "1", "1-", "-1", "1-0", "1--1", "+1-1", "1-1-1", "99999999999999999999-1", "1-99999999999", "x-1"} {
		if p, ok := ParsePlace(text); ok {
			t.Errorf("%q is read as %v", text, p)
		}
	}
}
