package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
)

// svg is what of a badge can go wrong.
type svg struct {
	XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
	Width   int      `xml:"width,attr"`
	Label   string   `xml:"aria-label,attr"`
	Title   string   `xml:"title"`
	Texts   []struct {
		X      int    `xml:"x,attr"`
		Length int    `xml:"textLength,attr"`
		Text   string `xml:",chardata"`
	} `xml:"g>text"`
	Grounds []struct {
		X     int `xml:"x,attr"`
		Width int `xml:"width,attr"`
	} `xml:"g>rect"`
}

func readBadge(t *testing.T, label string, s Standing) (b svg, elements string) {
	t.Helper()
	drawn := Badge(label, s)
	dec := xml.NewDecoder(bytes.NewReader(drawn))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%q: %v\n%s", label, err, drawn)
		}
		if start, ok := token.(xml.StartElement); ok {
			elements += start.Name.Local + strconv.Itoa(len(start.Attr)) + " "
		}
	}
	if err := xml.Unmarshal(drawn, &b); err != nil {
		t.Fatalf("%q: %v\n%s", label, err, drawn)
	}
	return b, elements
}

// The texts are as long as they are in Verdana, and stand on their grounds. The
// widths are those that shields.io's badges have, within two pixels.
func TestBadge(t *testing.T) {
	for _, c := range []struct {
		label string
		s     Standing
		word  string
		width int
	}{
		{"build", Passing, "passing", 88}, {"build", Failing, "failing", 80}, {"build", Unknown, "unknown", 98}, {"docs", Underway, "building", 87},
		{"コード", Passing, "passing", 94},
	} {
		b, _ := readBadge(t, c.label, c.s)
		if b.Width < c.width-2 || b.Width > c.width+2 {
			t.Errorf("%s %s is %d wide; want %d", c.label, c.word, b.Width, c.width)
		}
		if want := c.label + ": " + c.word; b.Title != want || b.Label != want {
			t.Errorf("it is called %q, %q; want %q", b.Title, b.Label, want)
		}
		for i, text := range []string{c.label, c.word} {
			ground := b.Grounds[i]
			if got := b.Texts[i]; got.Text != text || got.X != ground.X+5 || got.Length != ground.Width-10 || ground.X+ground.Width > b.Width {
				t.Errorf("%s is %+v on %+v", text, got, ground)
			}
		}
	}
}

// Whatever stands on a badge is text, and not more than a badge can hold.
func TestBadgeIsText(t *testing.T) {
	_, plain := readBadge(t, "build", Failing)
	for _, attack := range attacks {
		b, elements := readBadge(t, attack, Failing)
		if elements != plain {
			t.Errorf("%q makes the elements %s", attack, elements)
		}
		if len([]rune(b.Texts[0].Text)) > 40 || strings.ContainsFunc(b.Title, suspect) && !strings.Contains(b.Title, "\ufffd") {
			t.Errorf("%q is %q", attack, b.Title)
		}
	}
}

func FuzzBadge(f *testing.F) {
	f.Add("build")
	f.Add("</text><script>")
	f.Fuzz(func(t *testing.T, label string) {
		if b, _ := readBadge(t, label, Passing); len(b.Texts) != 2 || len(b.Grounds) != 2 {
			t.Errorf("%q makes %+v", label, b)
		}
	})
}
