// Package page draws the pages of a server: facts in, HTML out. It knows nothing
// of requests, rights or storage.
//
// Pages are whole without JavaScript; the scripts among the assets keep them up to
// date and add comfort. Whatever a build, a forge or a person called something is
// shown as text, in any field: html/template escapes it for its place, and the last
// thing that every page goes through shows what would hide or reorder text
// (package's visible) as what it is.
package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"sync"
	"time"
)

// Policy is what pages may do, as in Content-Security-Policy: load their own style and
// scripts, and nothing else.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// A Frame is what all pages have around them.
type Frame struct {
	User  string // who is signed in; "" for nobody
	Admin bool   // who may see the builders
	Leave bool   // they can sign out: they came with a session
	Enter string // the path where somebody signs in who sees only what is public; "" for others
	Now   time.Time
}

// A View is the content of one page.
type View interface {
	// about is the name of its template, and what it is called in windows and lists.
	about() (template, title string)
}

//go:embed templates
var sources embed.FS

// templates are the pages by name, each with the layout and the parts that all of
// them can use. They are read for the first page: most runs of the program draw none.
var templates = sync.OnceValue(func() map[string]*template.Template {
	base := template.Must(template.New("layout.html").Funcs(functions).ParseFS(sources, "templates/layout.html", "templates/parts.html", "templates/act.html"))
	all := map[string]*template.Template{}
	for _, name := range []string{"home", "builds", "build", "plan", "events", "log", "builders", "queue", "login", "problem", "start", "asked", "deliveries"} {
		all[name] = template.Must(template.Must(base.Clone()).ParseFS(sources, "templates/"+name+".html"))
	}
	return all
})

// framed is what templates are given.
type framed struct {
	Frame
	Name  string // of the template
	Title string
	Page  View
}

// Write draws a whole page. What it writes is HTML in UTF-8.
func Write(w io.Writer, f Frame, v View) error { return draw(w, "layout.html", f, v) }

// Live draws the part of a page that changes while it is open: the content of the
// element that has the id "live".
func Live(w io.Writer, f Frame, v View) error { return draw(w, "live", f, v) }

func draw(w io.Writer, part string, f Frame, v View) error {
	name, title := v.about()
	var out bytes.Buffer // an error must not leave half a page behind
	if err := templates()[name].ExecuteTemplate(&out, part, framed{Frame: f, Name: name, Title: title, Page: v}); err != nil {
		return fmt.Errorf("draw the page %s: %w", name, err)
	}
	_, err := w.Write(visible(out.Bytes()))
	return err
}

// A Problem says why there is no such page.
type Problem struct {
	Status  string // what the answer's status is called, such as Not Found
	Message string
	Back    string // the page where it began; "" for none
}

func (Problem) about() (string, string) { return "problem", "No page" }

// A Login asks who somebody is: their forge, or they show a token.
type Login struct {
	Problem string // with how they tried before; "" at first
	Next    string // the path to go on to
	Ways    []LoginWay
}

// A LoginWay is a forge that says who somebody is.
type LoginWay struct {
	Name  string // such as GitHub
	Forge string // part of the path of ours that leads there
}

func (Login) about() (string, string) { return "login", "Sign in" }
