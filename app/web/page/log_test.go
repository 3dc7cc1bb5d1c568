package page

import (
	"bytes"
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
				c = &Cutter{Place: place}
			}
		}
		if want := shownLines(text); !reflect.DeepEqual(want, got) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

func TestParsePlace(t *testing.T) {
	for _, text := range []string{"", "-", "1", "1-", "-1", "1-0", "1--1", "+1-1", "1-1-1", "w", "1-1ww", "1w-1", "1-w", "99999999999999999999-1", "1-99999999999", "x-1"} {
		if p, ok := ParsePlace(text); ok {
			t.Errorf("%q is read as %v", text, p)
		}
	}
}

// A line is found by what is shown of it, whether it needs a second look or not.
func TestNeedle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := []byte(rapid.StringMatching(`([a-cA-Cäß \t]|\x1b\[3[1-7]m|\r|\x{202e}|\x00)*`).Draw(t, "line"))
		text := rapid.StringMatching(`[a-cA-CäSs+0-9U]{1,3}`).Draw(t, "text")
		want := strings.Contains(strings.ToLower(plain(Spans(line))), strings.ToLower(text))
		if got := NewNeedle(text).In(line); got != want {
			t.Fatalf("%q in %q: %t; want %t", text, line, got, want)
		}
	})
	if NewNeedle("end").In(append(bytes.Repeat([]byte("x"), MaxLine), "end"...)) {
		t.Error("what is not shown is found")
	}
}

// What is read as a place is written as it was read, but for leading zeros.
func FuzzParsePlace(f *testing.F) {
	for _, seed := range []string{"0-1", "10-3w", "1-0", "9223372036854775807-1", "01-1w"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := ParsePlace(text)
		if !ok {
			return
		}
		if p.Offset < 0 || p.Number < 1 {
			t.Fatalf("%q is read as %+v", text, p)
		}
		if again, ok := ParsePlace(p.String()); !ok || again != p {
			t.Fatalf("%q is read as %+v, and then as %+v", text, p, again)
		}
	})
}
