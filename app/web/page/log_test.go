package page

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

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

func TestTicks(t *testing.T) {
	for _, c := range []struct{ end, want string }{
		{"20ms", "[{0.00% 0} {25.00% 5ms} {50.00% 10ms} {75.00% 15ms}]"},
		{"9s", "[{0.00% 0} {22.22% 2s} {44.44% 4s} {66.67% 6s} {88.89% 8s}]"},
		{"3h", "[{0.00% 0} {33.33% 1h} {66.67% 2h}]"},
	} {
		span, err := time.ParseDuration(c.end)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(scale{from: noon, span: span}.ticks()); got != c.want {
			t.Errorf("ticks of %s are %s; want %s", c.end, got, c.want)
		}
	}
}

// The chart of the example, in the words that a screen reader says.
func TestChart(t *testing.T) {
	var got []string
	for _, r := range chartOf(exampleBuild(), after(12)).Rows {
		got = append(got, r.Said)
	}
	want := []string{
		"unit, failed, attempt 2 on b1, exit 2, retry 1/1: 2.0s, waited for a builder: 1.0s, attempt 3 on b1: 4.0s, setup, succeeded: 0ms, make, failed: 4.0s",
		"lint, succeeded, waited for a builder: 500ms, attempt 1 on b2: 500ms, setup, succeeded: 0ms, make, succeeded: 500ms",
		"docs, succeeded",
		"image, ready, waited for the stage test: 9.0s, waited for a builder: 3.0s",
		"notes, building, waited for the stage test: 9.0s, waited for a builder: 500ms, attempt 1 on b1: 2.5s, setup, succeeded: 0ms, make, building: 2.5s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
