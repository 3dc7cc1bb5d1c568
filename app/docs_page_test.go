package app_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// A markdown is one Markdown file, as far as tests read it.
type markdown struct {
	path    string // from the repository's root, with slashes
	anchors map[string]bool
	blocks  []block
	links   []link
}

// A block is what stands between fences, without the indentation of the first one.
type block struct {
	line     int    // of the opening fence
	language string // after the opening fence; empty for none
	place    string // HEADING/NUMBER: the anchor of the heading above, and the number among blocks of its language there
	name     string // of a file, if the first line is a comment that begins with it
	text     string
}

// A link is an address that a page points to, with the line where it does.
type link struct {
	line int
	to   string
}

var (
	fence   = regexp.MustCompile("^( *)(```+)(\\w*)\\s*$")
	heading = regexp.MustCompile(`^#{1,6} +(.*?)[ #]*$`)
	named   = regexp.MustCompile(`^# (\.?[\w-]+(?:/[\w.-]+)*(?:\.[\w-]+)+)(?:, .*)?\n`)
	code    = regexp.MustCompile("`[^`]*`")
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)|\b(?:href|src|srcset)="([^"\s]+)"|^\[[^\]]+\]: *(\S+)`)
	titled  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	anchor  = regexp.MustCompile(`<a (?:id|name)="([^"]+)">`)
)

// known are pages that were read: many tests look at each of them.
var known sync.Map

func readPage(t *testing.T, path string) markdown {
	t.Helper()
	if p, ok := known.Load(path); ok {
		return p.(markdown)
	}
	p, err := parsePage(path, readText(t, path))
	if err != nil {
		t.Fatal(err)
	}
	known.Store(path, p)
	return p
}

func parsePage(path, text string) (markdown, error) {
	p := markdown{path: path, anchors: map[string]bool{}}
	var open *block
	var indent, ticks, under string
	count := map[string]int{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		bare := strings.TrimRight(line, "\n")
		m := fence.FindStringSubmatch(bare)
		switch {
		case open != nil && m != nil && m[2] == ticks && m[3] == "":
			if m := named.FindStringSubmatch(open.text); m != nil {
				open.name = m[1]
			}
			p.blocks, open = append(p.blocks, *open), nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent)
		case m != nil:
			indent, ticks = m[1], m[2]
			place := under + " " + m[3]
			count[place]++
			open = &block{line: n, language: m[3], place: fmt.Sprintf("%s/%d", under, count[place])}
		default:
			if m := heading.FindStringSubmatch(bare); m != nil {
				under = p.anchor(m[1])
			}
			p.prose(n, bare)
		}
	}
	if open != nil {
		return markdown{}, fmt.Errorf("%s:%d: the block has no end", path, open.line)
	}
	return p, nil
}

// prose notes what a line outside of blocks links to.
func (p *markdown) prose(n int, line string) {
	if !strings.ContainsAny(line, "[<") {
		return
	}
	line = code.ReplaceAllString(line, "")
	for _, m := range linked.FindAllStringSubmatch(line, -1) {
		p.links = append(p.links, link{n, m[1] + m[2] + m[3]})
	}
	for _, m := range anchor.FindAllStringSubmatch(line, -1) {
		p.anchors[m[1]] = true
	}
}

// anchor is what GitHub calls the heading in addresses: its letters, digits,
// hyphens and underscores in lower case, blanks as hyphens, and a number behind
// what was there before.
func (p *markdown) anchor(heading string) string {
	text := titled.ReplaceAllString(heading, "$1")
	slug := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, text)
	one := slug
	for i := 1; p.anchors[one]; i++ {
		one = fmt.Sprintf("%s-%d", slug, i)
	}
	p.anchors[one] = true
	return one
}

// The reader of pages knows what the tests of the documentation rely on.
func TestPagesAreRead(t *testing.T) {
	text := "# A `b` & c_d\n[x](y.md#z) `[no](no.md)`\n<img src=\"i.png\">\n## Twice\n## Twice\n" +
		"1. item\n\n   ```sh\n   # one.sh, first\n     echo [no](no.md)\n   ```\n```sh\ntrue\n```\n```\n# not a heading\n```\n[ref]: https://example.org/\n"
	p, err := parsePage("p.md", text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(p.anchors), "map[a-b--c_d:true twice:true twice-1:true]"; got != want {
		t.Errorf("anchors %s; want %s", got, want)
	}
	if got, want := fmt.Sprint(p.links), "[{2 y.md#z} {3 i.png} {18 https://example.org/}]"; got != want {
		t.Errorf("links %s; want %s", got, want)
	}
	want := []block{
		{8, "sh", "twice-1/1", "one.sh", "# one.sh, first\n  echo [no](no.md)\n"},
		{12, "sh", "twice-1/2", "", "true\n"},
		{15, "", "twice-1/1", "", "# not a heading\n"},
	}
	if got := fmt.Sprint(p.blocks); got != fmt.Sprint(want) {
		t.Errorf("blocks %s; want %v", got, want)
	}
	if _, err := parsePage("p.md", "```sh\nno end\n"); err == nil {
		t.Error("a block without an end was read")
	}
}
