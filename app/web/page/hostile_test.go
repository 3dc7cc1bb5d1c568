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
	"github.com/velocity-ci/velocity/blueprint/plan"
)

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
	case reflect.TypeFor[Log](), reflect.TypeFor[Events](), reflect.TypeFor[Builds](), reflect.TypeFor[Match](), reflect.TypeFor[Search]():
		if slices.Contains([]string{"First", "Previous", "Next", "Last", "Older", "Newer", "Earlier", "Later", "Toggle", "None"}, field.Name) {
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
	benign, places := map[string][]string{}, map[string][]string{}
	for name, v := range examples() {
		doc := drawn(t, tainted(&v, benignText), v)
		benign[name], places[name] = shape(doc), texts(doc)
	}
	for _, attack := range attacks {
		for name, v := range examples() {
			doc := drawn(t, tainted(&v, attack), v)
			if got := shape(doc); !slices.Equal(got, benign[name]) {
				t.Errorf("%q changes the page %s: %s", attack, name, difference(benign[name], got))
			}
			if lost := lost(places[name], texts(doc), attack); lost != "" && name != "plan" { // which is as terminals have it
				t.Errorf("%q on the page %s is not shown: %s", attack, name, lost)
			}
			if away := leads(doc); away != nil {
				t.Errorf("%q on the page %s leads to %q", attack, name, away)
			}
		}
	}
}

// benignText stands where attacks will: no page says so by itself.
const benignText = "benign7"

// lost finds where a text is not shown as it is, or in one of the short forms that
// pages have for names.
func lost(places, got []string, attack string) string {
	if len(places) != len(got) {
		return fmt.Sprintf("there are %d texts instead of %d", len(got), len(places))
	}
	forms := []string{attack, first(attack), person(attack), branch(attack), eventName(plan.Event(attack)), plan.Commit(attack).Short()}
	for i, form := range forms {
		forms[i] = string(visible([]byte(strings.ReplaceAll(form, "\x00", "\ufffd")))) // as html/template has it
	}
	for i, place := range places {
		if !slices.ContainsFunc(forms, func(one string) bool {
			rest := strings.Replace(place, benignText, one, 1) // which may be beside another
			return slices.ContainsFunc(forms, func(other string) bool { return got[i] == strings.ReplaceAll(rest, benignText, other) })
		}) {
			return fmt.Sprintf("%q instead of %q", got[i], place)
		}
	}
	return ""
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
