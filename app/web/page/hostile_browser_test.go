package page

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"
)

// trap counts what a script could do that was written by somebody else. What is far
// below is not laid out before something wants to see it, which takes most of the time.
const trap = `
	window.hits = [];
	for (const name of ["alert", "confirm", "prompt", "open", "print"]) window[name] = () => { window.hits.push(name); };
	const style = new CSSStyleSheet();
	style.replaceSync("main > * { content-visibility: auto; contain-intrinsic-size: 1px 1000px; }");
	document.adoptedStyleSheets.push(style);
`

// tried are the attacks that a test tries: all, unless it shall be short. The race
// detector finds no more in all of them than in some.
func tried() []string {
	if !testing.Short() && !raced {
		return attacks
	}
	var some []string
	for i := 0; i < len(attacks); i += 10 {
		some = append(some, attacks[i])
	}
	return some
}

// shownAttributes hold text that people see or hear.
var shownAttributes = []string{"title", "aria-label", "value"}

// texts are all texts of a page, in its order, without blank ones.
func texts(doc *html.Node) []string {
	var all []string
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.TextNode && strings.TrimSpace(n.Data) != "":
			all = append(all, n.Data)
		case n.Type == html.ElementNode:
			for _, name := range shownAttributes {
				for _, a := range n.Attr {
					if a.Key == name {
						all = append(all, name+"="+a.Val)
					}
				}
			}
		}
	}
	return all
}

// browserTexts is the same in a browser.
const browserTexts = `(() => {
	const all = [], walk = document.createTreeWalker(document, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const n = walk.currentNode;
		if (n.nodeType === Node.TEXT_NODE) { if (n.data.trim()) all.push(n.data); continue; }
		for (const name of ["title", "aria-label", "value"]) if (n.hasAttribute(name)) all.push(name + "=" + n.getAttribute(name));
	}
	return all;
})()`

// browserAway are the addresses on a page that are not the server's.
const browserAway = `[...document.querySelectorAll("[href], [src], [action]")].map(e => e.href || e.src || e.action).filter(a => !a.startsWith(location.origin + "/"))`

// U1: whatever somebody calls something, in any field of any page, a browser runs
// nothing, asks nobody else, has nothing to report, and shows the text.
func TestHostileTextInBrowser(t *testing.T) {
	if n := len(slices.Compact(slices.Sorted(slices.Values(attacks)))); n < 300 {
		t.Fatalf("there are %d attacks; want 300", n)
	}
	g := newGlass(t)
	g.do(call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": trap}))
	for _, name := range slices.Sorted(maps.Keys(examples())) {
		// All of them stand in one document: a parser goes on behind the end of a page,
		// and one that is not closed as it should be spoils all that follow.
		var all bytes.Buffer
		var want []string
		for _, attack := range tried() {
			v := examples()[name]
			if l, ok := v.(Log); ok {
				l.Follow = false // that it is followed changes what it says
				l.Lines = (&Cutter{Place: Place{Number: 1}}).Take([]byte(attack), true)
				v = l
			}
			f := tainted(&v, attack)
			var one bytes.Buffer
			if err := Write(&one, f, v); err != nil {
				t.Fatal(err)
			}
			all.Write(one.Bytes())
			doc, err := html.Parse(&one)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, texts(doc)...)
		}
		g.do(chromedp.Navigate(g.put("/"+name, all.Bytes())))
		g.harmless(name, want)
	}
}

// A page that is kept up to date is as harmless as one that is loaded.
func TestHostileTextLiveInBrowser(t *testing.T) {
	g := newGlass(t)
	g.do(call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": trap}))
	g.do(chromedp.Navigate(g.putView("/build", exampleFrame, examples()["build"])))
	for i, attack := range tried() {
		if v := examples()["build"]; i%3 == 0 { // the way is the same for all, and each is drawn anew
			f := tainted(&v, attack)
			g.tell(f, v.(Build))
		}
	}
	last := examples()["build"].(Build)
	last.Subject = "The last one"
	g.tell(exampleFrame, last)
	g.until(`document.querySelector("h1").textContent === "The last one"`)
	var page bytes.Buffer
	if err := Write(&page, exampleFrame, last); err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(&page)
	if err != nil {
		t.Fatal(err)
	}
	g.harmless("build, kept up to date", texts(doc))
}

// harmless fails the test if something was run, leads elsewhere, or is not shown.
func (g *glass) harmless(where string, want []string) {
	g.t.Helper()
	if hits := see(g, chromedp.Evaluate[[]string]("window.hits")); len(hits) > 0 {
		g.t.Errorf("%s: scripts ran: %v", where, hits)
	}
	if away := see(g, chromedp.Evaluate[[]string](browserAway)); len(away) > 0 {
		g.t.Errorf("%s leads to %q", where, away)
	}
	got := see(g, chromedp.Evaluate[[]string](browserTexts))
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			g.t.Errorf("%s: of %d texts that are shown, and %d that shall be, number %d differs: %.200q", where, len(got), len(want), i, [][]string{want[min(i, len(want)):min(i+1, len(want))], got[min(i, len(got)):min(i+1, len(got))]})
			return
		}
	}
}
