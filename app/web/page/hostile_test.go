package page

import (
	"bytes"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/velocity-ci/velocity/architect/build"
)

// attacks are what somebody could call a branch, a test, a file or themselves.
var attacks = []string{
	`<script>alert(1)</script>`, `<ScRiPt>alert(1)</sCrIpT>`, `<script src=//evil.example/x.js></script>`, `<img src=x onerror=alert(1)>`,
	`<svg onload=alert(1)>`, `<svg><script>alert(1)</script></svg>`, `<svg><animate onbegin=alert(1) attributeName=x>`, `<iframe src=javascript:alert(1)>`,
	`<iframe srcdoc="<script>alert(1)</script>">`, `<body onload=alert(1)>`, `<details open ontoggle=alert(1)>`, `<input autofocus onfocus=alert(1)>`,
	`<math><mtext></mtext><script>alert(1)</script></math>`, `<a href="javascript:alert(1)">x</a>`, `<form action=//evil.example><button>x`, `<base href=//evil.example/>`,
	`<meta http-equiv=refresh content="0;url=//evil.example">`, `<link rel=stylesheet href=//evil.example/x.css>`, `<style>*{background:url(//evil.example)}</style>`, `<object data=//evil.example>`,
	`<embed src=//evil.example>`, `<video><source onerror=alert(1)>`, `<marquee onstart=alert(1)>`, `<template><script>alert(1)</script></template>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `</title><script>alert(1)</script>`, `</textarea><script>alert(1)</script>`, `</script><script>alert(1)</script>`,
	`</style><script>alert(1)</script>`, `</main></body></html><script>alert(1)</script>`, `</pre><script>alert(1)</script>`, `</option></select><script>alert(1)</script>`,
	`<!--><script>alert(1)</script>-->`, `--><script>alert(1)</script><!--`, `<![CDATA[<script>alert(1)</script>]]>`, `<?xml version="1.0"?><script/>`,
	`" onmouseover="alert(1)`, `' onmouseover='alert(1)`, "` onmouseover=`alert(1)", `" autofocus onfocus="alert(1)" x="`, `"><script>alert(1)</script>`, `'><script>alert(1)</script>`,
	`" style="background:url(//evil.example)`, `x" href="javascript:alert(1)`, `javascript:alert(1)`, "java\tscript:alert(1)", "\x01javascript:alert(1)", `JaVaScRiPt:alert(1)`,
	`data:text/html,<script>alert(1)</script>`, `vbscript:msgbox(1)`, `//evil.example/x`, `\\evil.example\x`, `https://evil.example/`, `../../../../etc/passwd`,
	`?attempt=2#L1`, `#main`, `%3Cscript%3Ealert(1)%3C/script%3E`, `&lt;script&gt;alert(1)&lt;/script&gt;`, `&#60;script&#62;alert(1)&#60;/script&#62;`, `&quot;onload=alert(1)`,
	`{{.}}`, `{{template "live" .}}`, `${alert(1)}`, `#{alert(1)}`, `<%= alert(1) %>`, `{{constructor.constructor('alert(1)')()}}`,
	`\u003cscript\u003ealert(1)\u003c/script\u003e`, `\x3cscript\x3e`, `'-alert(1)-'`, `";alert(1)//`, `');alert(1);('`, `*/alert(1)/*`, `]]>`, `}}`,
	"\x1b[31m<b>\x1b[0m", "\x1b]0;title\x07x", "\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\", "\x1b[2J\x1b[Hx", "\x1bP1$tx\x1b\\y", "\u009b31mx", "\u009d0;x\u009cy", "\x1b]1337;File=:x\x07y",
	"\x1b[8mhidden\x1b[0m", "\x1b(0x\x1b(B", "x\x1b", "x\x1b[", "x\x1b[31", "\x0ex\x0f", "x\x7f", "x\x00y",
	"\u202etxt.exe", "\u202dx\u202c", "\u2066x\u2069", "\u200ex\u200f", "\u061cx", "x\u2028y", "x\u2029y", "\ufeffx", "x\u2060y", "\U000e0041\U000e007fx",
	"x\r\n\r\nevent: end\ndata: \"x\"\n\n", "x\ndata: y", "x\rid: 1\r", "x\n\nretry: 0\n\n", ":\n\nevent: build\ndata: \"<script>\"", "x\r\nSet-Cookie: a=b",
	"\xff\xfe<script>", "\xc0\xbcscript\xc0\xbe", "+ADw-script+AD4-", "\xf0\x28\x8c\x28x", "x\ud7ff\ue000", "﹤script﹥＜script＞",
	strings.Repeat("x", 5000), strings.Repeat("<b>", 500), "a.b/c d&e=f;g?h#i", "x' OR '1'='1", "$(touch x)`touch x`",
}

// taint puts a text into every field of a view that holds text from outside.
func taint(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			taint(v.Elem(), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && !ours(v.Type(), v.Type().Field(i)) {
				taint(f, text)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			taint(v.Index(i), text)
		}
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.String && v.Len() > 0 {
			v.Clear()
			v.SetMapIndex(reflect.ValueOf(text), reflect.ValueOf(text))
		}
	case reflect.String:
		if v.String() != "" {
			v.SetString(text)
		}
	}
}

// ours reports whether a field never holds text from outside: what decides what a
// page has, what this package has made of text, and addresses, which are made by us.
func ours(of reflect.Type, field reflect.StructField) bool {
	switch of {
	case reflect.TypeFor[Problem](), reflect.TypeFor[Asked]():
		return field.Name == "Back" || field.Name == "Here"
	case reflect.TypeFor[Log](), reflect.TypeFor[Events](), reflect.TypeFor[Builds](), reflect.TypeFor[Match](), reflect.TypeFor[Deliveries]():
		if slices.Contains([]string{"First", "Previous", "Next", "Last", "Older", "Newer", "Toggle", "None", "Starts"}, field.Name) {
			return true
		}
		return field.Name == "Query" && field.Type.Kind() == reflect.String
	}
	return field.Type == reflect.TypeFor[build.State]() || field.Type == reflect.TypeFor[[]Span]() || field.Name == "Key" || field.Name == "Rules"
}

// drawn parses a page.
func drawn(t *testing.T, f Frame, v View) *html.Node {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, f, v); err != nil {
		t.Fatal(err)
	}
	if bad := bytes.IndexFunc(out.Bytes(), func(r rune) bool { return control(r) || hidden(r) }); bad >= 0 || !utf8.Valid(out.Bytes()) {
		t.Errorf("the page holds at %d what cannot be seen: %q", bad, out.Bytes()[max(bad, 0):min(max(bad, 0)+20, out.Len())])
	}
	doc, err := html.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// shape is all of a page that is no text: elements and the names of attributes.
func shape(n *html.Node) []string {
	var all []string
	for n := range n.Descendants() {
		switch n.Type {
		case html.ElementNode:
			line := n.Data
			for _, a := range n.Attr {
				line += " " + a.Key
			}
			all = append(all, line)
		case html.CommentNode:
			all = append(all, "comment "+n.Data)
		}
	}
	return all
}

// leads reports where a page leads that is not a path of the server.
func leads(n *html.Node) (away []string) {
	for n := range n.Descendants() {
		for _, a := range n.Attr {
			if !slices.Contains([]string{"href", "src", "action", "data-live", "formaction", "srcdoc"}, a.Key) {
				continue
			}
			u, err := url.Parse(a.Val)
			if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(a.Val, `\`) {
				away = append(away, a.Key+"="+a.Val)
			}
		}
	}
	return away
}

// Whatever somebody calls something, in any field of any page, is text: no element
// and no attribute comes of it, and no link leads elsewhere.
func TestHostileTextIsText(t *testing.T) {
	if len(attacks) < 100 {
		t.Fatalf("there are %d attacks", len(attacks))
	}
	benign := map[string][]string{}
	for name, v := range examples() {
		benign[name] = shape(drawn(t, tainted(&v, "plain"), v))
	}
	for _, attack := range attacks {
		for name, v := range examples() {
			doc := drawn(t, tainted(&v, attack), v)
			if got := shape(doc); !slices.Equal(got, benign[name]) {
				t.Errorf("%q changes the page %s: %s", attack, name, difference(benign[name], got))
			}
			if away := leads(doc); away != nil {
				t.Errorf("%q on the page %s leads to %q", attack, name, away)
			}
		}
	}
}

// tainted puts a text into a view and its frame.
func tainted(v *View, text string) Frame {
	p := reflect.New(reflect.TypeOf(*v))
	p.Elem().Set(reflect.ValueOf(*v))
	taint(p, text)
	*v = p.Elem().Interface().(View)
	f := exampleFrame
	f.User = text
	return f
}

func difference(want, got []string) string {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fmt.Sprintf("at %d is %q instead of %q", i, got[i], want[i])
		}
	}
	return fmt.Sprintf("%d elements instead of %d", len(got), len(want))
}

// What a program prints is text, too, in nothing but spans of known classes; and so
// it is in what a script is sent.
func TestHostileLogIsText(t *testing.T) {
	for _, attack := range attacks {
		v := examples()["log"].(Log)
		c := Cutter{Place: Place{Number: 1}}
		v.Lines, v.Search = c.Take([]byte(attack), true), nil
		doc := drawn(t, exampleFrame, v)
		for n := range doc.Descendants() {
			if class(n) != "c" {
				continue
			}
			for inner := range n.Descendants() {
				if inner.Type == html.ElementNode && (inner.Data != "span" || len(inner.Attr) != 1 || inner.Attr[0].Key != "class" || strings.Trim(class(inner), "abcdefghijklmnopqrstuvwxyz0123456789 ") != "") {
					t.Errorf("%q makes a <%s %v>", attack, inner.Data, inner.Attr)
				}
			}
		}
	}
}

func class(n *html.Node) string {
	for _, a := range n.Attr {
		if a.Key == "class" {
			return a.Val
		}
	}
	return ""
}
