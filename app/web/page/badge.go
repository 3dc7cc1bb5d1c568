package page

import (
	"bytes"
	"encoding/xml"
	"strings"
	"sync"
	"text/template"
	"unicode"
)

// A Standing is what a badge says. A worse one is larger.
type Standing int

// The standings.
const (
	Unknown Standing = iota
	Passing
	Underway
	Failing
)

// faces are how standings look: a word, and a ground on which white can be read.
var faces = map[Standing]struct{ Word, Ground string }{
	Unknown: {"unknown", "#57606e"}, Passing: {"passing", "#146c2e"}, Underway: {"building", "#8a5300"}, Failing: {"failing", "#b3161f"},
}

// A badge is drawn in pixels. The text is as long as it is said to be in whatever
// letters the browser has.
var badge = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("badge").Funcs(template.FuncMap{"xml": xmlText}).Parse(
		`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="20" role="img" aria-label="{{xml .Label}}: {{.Word}}">` +
			`<title>{{xml .Label}}: {{.Word}}</title>` +
			`<clipPath id="r"><rect width="{{.Width}}" height="20" rx="3"/></clipPath>` +
			`<g clip-path="url(#r)"><rect width="{{.Left}}" height="20" fill="#3d444d"/>` +
			`<rect x="{{.Left}}" width="{{.Right}}" height="20" fill="{{.Ground}}"/></g>` +
			`<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">` +
			`<text x="{{.Edge}}" y="14" textLength="{{.LabelLength}}">{{xml .Label}}</text>` +
			`<text x="{{.Second}}" y="14" textLength="{{.WordLength}}">{{.Word}}</text></g></svg>` + "\n"))
})

// badgeEdge is left free beside each text, in pixels.
const badgeEdge = 5

// maxLabel bounds what stands on a badge, in characters.
const maxLabel = 40

// Badge draws a badge as SVG: a label, which may be any text, and a standing.
func Badge(label string, s Standing) []byte {
	label = Visible(strings.Join(strings.Fields(label), " "))
	if all := []rune(label); len(all) > maxLabel {
		label = string(all[:maxLabel-1]) + "…"
	}
	face := faces[s]
	label, word := label, face.Word
	left, right := textWidth(label), textWidth(word)
	var out bytes.Buffer
	err := badge().Execute(&out, map[string]any{
		"Label": label, "Word": word, "Ground": face.Ground, "LabelLength": left, "WordLength": right, "Edge": badgeEdge,
		"Left": left + 2*badgeEdge, "Right": right + 2*badgeEdge, "Width": left + right + 4*badgeEdge, "Second": left + 3*badgeEdge,
	})
	if err != nil {
		panic(err) // a buffer takes everything, and the template is part of the program
	}
	return out.Bytes()
}

// xmlText is text within an element or an attribute. What XML cannot hold becomes
// U+FFFD.
func xmlText(text string) (string, error) {
	var out strings.Builder
	err := xml.EscapeText(&out, []byte(text))
	return out.String(), err
}

// textWidth is how long a text is in Verdana of 11 pixels, in whole pixels.
func textWidth(text string) int {
	units := 0
	for _, r := range text {
		units += runeWidth(r)
	}
	return (units*11 + unitsPerEm - 1) / unitsPerEm
}

// unitsPerEm are those in which Verdana measures itself.
const unitsPerEm = 2048

// runeWidth is how wide Verdana is, or what browsers take where it has no letter.
func runeWidth(r rune) int {
	switch {
	case r >= ' ' && r <= '~':
		return verdana[r-' ']
	case unicode.Is(unicode.M, r), unicode.Is(unicode.Cf, r):
		return 0
	case r >= 0x1100: // East Asian letters and pictures, most of them as wide as high
		return unitsPerEm
	}
	return 1400
}

// verdana are the widths of its letters from space to tilde.
var verdana = [...]int{
	720, 806, 940, 1676, 1302, 2204, 1488, 550, 930, 930, 1302, 1676, 745, 930, 745, 930, // space to /
	1302, 1302, 1302, 1302, 1302, 1302, 1302, 1302, 1302, 1302, 930, 930, 1676, 1676, 1676, 1117, // 0 to ?
	2048, 1400, 1404, 1430, 1578, 1295, 1177, 1588, 1539, 862, 931, 1419, 1140, 1726, 1532, 1612, // @ to O
	1235, 1612, 1424, 1400, 1262, 1499, 1400, 2025, 1403, 1260, 1403, 930, 930, 930, 1676, 1302, // P to _
	1302, 1230, 1276, 1067, 1276, 1220, 720, 1276, 1296, 562, 705, 1212, 562, 1992, 1296, 1243, // ` to o
	1276, 1276, 874, 1067, 807, 1296, 1212, 1676, 1212, 1212, 1076, 1300, 930, 1300, 1676, // p to ~
}
