package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/velocity-ci/velocity/app/web/browsertest"
)

// A glass is a tab of Chromium that looks at pages as a server sends them: with their
// assets and their policy, whose breaches it is told of.
type glass struct {
	t   *testing.T
	tab context.Context
	url string

	stream chan string // of events, for the page of a build; it ends when it is closed

	mu      sync.Mutex
	pages   map[string][]byte // by path
	strange []string          // breaches of the policy, and requests for what no page has
}

// newGlass is a glass of its own browser. When the test ends, nothing may have been
// said on the console, breached the policy, or been asked for that is not there.
func newGlass(t *testing.T) *glass {
	t.Helper()
	g := &glass{t: t, stream: make(chan string), pages: map[string][]byte{}}
	server := httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	g.url = server.URL
	tab := browsertest.Open(life(t), t, chromedp.Flag("hide-scrollbars", true))
	g.tab = tab
	t.Cleanup(func() {
		g.do(chromedp.Navigate("about:blank")) // what is still under way is said before
		said := tab.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(said)+len(g.strange) > 0 {
			t.Errorf("the console says:\n%s\nand the server heard:\n%s", strings.Join(said, "\n"), strings.Join(g.strange, "\n"))
		}
	})
	return g
}

// life ends shortly before the time of all tests does: a machine with much else to do
// takes minutes to draw all attacks, and who is cut off then can say so still.
func life(t *testing.T) context.Context {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // it is used until the last cleanup
	if ends, ok := t.Deadline(); ok {
		before, cancel := context.WithDeadline(ctx, ends.Add(-20*time.Second))
		t.Cleanup(cancel)
		return before
	}
	return ctx
}

// serve answers the browser. What is under way at the end of the test was begun by
// its own clicks, so every request that it does not know is one too many.
func (g *glass) serve(w http.ResponseWriter, r *http.Request) {
	name, asset := strings.CutPrefix(r.URL.Path, AssetsPath)
	a, known := FindAsset(name)
	g.mu.Lock()
	text, page := g.pages[r.URL.Path]
	g.mu.Unlock()
	switch {
	case asset && known:
		w.Header().Set("Content-Type", a.Kind)
		_, _ = w.Write(a.Content)
	case page:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", Policy+"; report-uri /breach")
		_, _ = w.Write(text)
	case strings.HasSuffix(r.URL.Path, "/live"):
		g.speak(w, r)
	default:
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		g.mu.Lock()
		g.strange = append(g.strange, fmt.Sprintf("%s %s: %s %v", r.Method, r.URL, body, err))
		g.mu.Unlock()
		http.NotFound(w, r)
	}
}

// speak sends what is told until that ends, or whoever listens goes away.
func (g *glass) speak(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for {
		if out.Flush() != nil {
			return
		}
		select {
		case event, more := <-g.stream:
			if !more {
				fmt.Fprint(w, "event: end\ndata: \"failed\"\n\n")
				return
			}
			fmt.Fprintf(w, "event: build\ndata: %s\n\n", event)
		case <-r.Context().Done():
			return
		}
	}
}

// put makes a page be served, and returns its address.
func (g *glass) put(path string, text []byte) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pages[path] = text
	return g.url + path
}

// putView draws a page to be served.
func (g *glass) putView(path string, f Frame, v View) string {
	g.t.Helper()
	var out bytes.Buffer
	if err := Write(&out, f, v); err != nil {
		g.t.Fatal(err)
	}
	return g.put(path, out.Bytes())
}

// tell makes the page of a build hear how it stands now.
func (g *glass) tell(f Frame, v Build) {
	g.t.Helper()
	var out bytes.Buffer
	if err := Live(&out, f, v); err != nil {
		g.t.Fatal(err)
	}
	data, err := json.Marshal(out.String())
	if err != nil {
		g.t.Fatal(err)
	}
	select {
	case g.stream <- string(data):
	case <-g.tab.Done():
		g.t.Fatal("nobody listens")
	}
}

func (g *glass) do(steps ...chromedp.Action[chromedp.Void]) {
	g.t.Helper()
	if err := chromedp.Do(g.tab, steps...); err != nil {
		g.t.Fatal(err)
	}
}

// until waits for something on the page, for as long as the tab lives: how soon a busy
// machine draws says nothing.
func (g *glass) until(condition string) {
	g.t.Helper()
	g.do(chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingTimeout(0)))
}

// see looks at something.
func see[T any](g *glass, what chromedp.Action[T]) T {
	g.t.Helper()
	got, err := chromedp.Run(g.tab, what)
	if err != nil {
		g.t.Fatal(err)
	}
	return got
}

// call sends the browser a command of its protocol.
func call(method string, params map[string]any) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return t.Call(ctx, method, params, nil)
	})
}

// scheme is whether whoever looks prefers dark pages or light ones.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": name}, {"name": "prefers-reduced-motion", "value": "reduce"}},
	})
}

// phone is how wide one is, in pixels.
const phone = 390
