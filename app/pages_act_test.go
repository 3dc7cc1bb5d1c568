package app_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// A sheet is a page as a browser without scripts has it.
type sheet struct {
	t      *testing.T
	k      *kiosk
	at     *url.URL
	status int
	doc    *html.Node
}

// visit opens a page.
func (k *kiosk) visit(path string) *sheet {
	k.t.Helper()
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, k.url+path, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.load(req)
}

func (k *kiosk) load(req *http.Request) *sheet {
	k.t.Helper()
	resp, err := k.http.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	doc, err := html.Parse(bytes.NewReader(text))
	if err != nil {
		k.t.Fatal(err)
	}
	return &sheet{t: k.t, k: k, at: resp.Request.URL, status: resp.StatusCode, doc: doc}
}

// text is what can be read in an element.
func text(n *html.Node) string {
	var all []string
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			all = append(all, d.Data)
		}
	}
	return strings.Join(strings.Fields(strings.Join(all, " ")), " ")
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// all are the elements of a kind below a node.
func all(n *html.Node, kind atom.Atom) (found []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.DataAtom == kind {
			found = append(found, d)
		}
	}
	return found
}

// said is what the page says first, or what is wrong.
func (s *sheet) said() string {
	for d := range s.doc.Descendants() {
		if role, _ := attribute(d, "role"); role == "status" || role == "alert" {
			return text(d)
		}
	}
	return ""
}

// buttons are what can be pressed on the page, beside signing out.
func (s *sheet) buttons() (named []string) {
	for _, b := range all(s.doc, atom.Button) {
		if name := text(b); name != "Sign out" {
			named = append(named, name)
		}
	}
	return named
}

// fields are what a form sends as it stands.
func fields(form *html.Node) url.Values {
	v := url.Values{}
	for d := range form.Descendants() {
		name, _ := attribute(d, "name")
		value, _ := attribute(d, "value")
		switch d.DataAtom {
		case atom.Input:
			kind, _ := attribute(d, "type")
			if _, checked := attribute(d, "checked"); kind != "checkbox" || checked {
				v.Set(name, value)
			}
		case atom.Textarea:
			v.Set(name, "")
			if d.FirstChild != nil {
				v.Set(name, d.FirstChild.Data)
			}
		case atom.Select:
			for _, o := range all(d, atom.Option) {
				value, _ := attribute(o, "value")
				if _, selected := attribute(o, "selected"); selected || !v.Has(name) {
					v.Set(name, value)
				}
			}
		}
	}
	return v
}

// beside is what is wrong with a field, which those are told of who cannot see it.
func (s *sheet) beside(name string) string {
	s.t.Helper()
	var told []string
	for d := range s.doc.Descendants() {
		if id, _ := attribute(d, "id"); id != name {
			continue
		}
		about, _ := attribute(d, "aria-describedby")
		told = strings.Fields(about)
	}
	for d := range s.doc.Descendants() {
		if id, _ := attribute(d, "id"); slices.Contains(told, id) && strings.HasSuffix(id, "-problem") {
			return text(d)
		}
	}
	return ""
}

// press presses a button, after some fields were filled in, as a browser would. It
// can be done again and again.
func (s *sheet) press(button string, fill url.Values) *sheet {
	s.t.Helper()
	return s.k.load(s.request(button, fill))
}

// request is what a button sends.
func (s *sheet) request(button string, fill url.Values) *http.Request {
	s.t.Helper()
	for _, form := range all(s.doc, atom.Form) {
		i := slices.IndexFunc(all(form, atom.Button), func(b *html.Node) bool { return text(b) == button })
		if i < 0 {
			continue
		}
		sent := fields(form)
		for name := range fill {
			if !sent.Has(name) {
				s.t.Fatalf("the form of %q has no field %s", button, name)
			}
			sent[name] = fill[name]
		}
		pressed := all(form, atom.Button)[i]
		if name, ok := attribute(pressed, "name"); ok {
			value, _ := attribute(pressed, "value")
			sent.Set(name, value)
		}
		action, _ := attribute(form, "action")
		to, err := s.at.Parse(action)
		if err != nil {
			s.t.Fatal(err)
		}
		method, body := http.MethodPost, sent.Encode()
		if how, _ := attribute(pressed, "formmethod"); how == "get" {
			method, body, to.RawQuery = http.MethodGet, "", body
		}
		req, err := http.NewRequestWithContext(s.t.Context(), method, to.String(), strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		return req
	}
	s.t.Fatalf("%s has no button %q; there are %q", s.at, button, s.buttons())
	return nil
}

// pressAtOnce presses a button several times at the same time, and returns where each
// leads.
func (s *sheet) pressAtOnce(times int, button string) []string {
	s.t.Helper()
	to := make([]string, times)
	var pressing errgroup.Group
	for i := range to {
		req := s.request(button, nil)
		pressing.Go(func() error {
			resp, err := s.k.http.Do(req)
			if err != nil {
				return err
			}
			to[i] = resp.Request.URL.RequestURI()
			return resp.Body.Close()
		})
	}
	if err := pressing.Wait(); err != nil {
		s.t.Fatal(err)
	}
	return to
}

// follow opens where a link leads.
func (s *sheet) follow(link string) *sheet {
	s.t.Helper()
	for _, a := range all(s.doc, atom.A) {
		if text(a) != link {
			continue
		}
		href, _ := attribute(a, "href")
		to, err := s.at.Parse(href)
		if err != nil {
			s.t.Fatal(err)
		}
		return s.k.visit(to.RequestURI())
	}
	s.t.Fatalf("%s has no link %q", s.at, link)
	return nil
}

// over waits until a build is, and returns its page.
func (k *kiosk) over(path string) *sheet {
	k.t.Helper()
	ended := false
	k.events(path+"/live", "", func(e event) bool { ended = e.kind == "end"; return ended })
	if !ended {
		k.t.Fatalf("%s: the stream ended before the build", path)
	}
	return k.visit(path)
}

// outcome is how a build stands on its page.
func (s *sheet) outcome() string {
	for d := range s.doc.Descendants() {
		if id, _ := attribute(d, "id"); id == "outcome" {
			return text(d)
		}
	}
	return ""
}

// tokenOf makes a token, which is printed in what velocity says.
var tokenOf = regexp.MustCompile(`vla_\w+`)

// as is the kiosk as somebody else sees it, who has a token with a right.
func (k *kiosk) as(name, rights string) *kiosk {
	k.t.Helper()
	var out bytes.Buffer
	if status := run(k.t.Context(), k.root, "", &out, "token", "create", name, "--rights", rights, "--config", filepath.Join(k.root, "server.yml")); status != 0 {
		k.t.Fatalf("token create ended with %d: %s", status, &out)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		k.t.Fatal(err)
	}
	other := &kiosk{t: k.t, root: k.root, said: k.said, url: k.url, secret: tokenOf.FindString(out.String()), http: &http.Client{Jar: jar}}
	if status, text := other.post("/login", url.Values{"token": {other.secret}}); status != http.StatusOK {
		k.t.Fatalf("sign in: %d %s", status, text)
	}
	return other
}

// Without scripts, a build is started, what failed of it re-run, and another one
// canceled. What is pressed twice is done once, and who may not act sees no buttons.
func TestActWithoutScripts(t *testing.T) {
	gate := newGate(t)
	mended := filepath.Join(t.TempDir(), "mended")
	k := newKiosk(t, map[string]string{
		"good": "parameters: [{name: color}]\nsteps: [{type: run, description: paint, script: 'echo ${color}'}]\n",
		"bad":  "steps: [{type: run, description: look, script: 'test -e " + mended + "'}]\n",
		"wait": "steps: [{type: run, description: wait, script: 'read go <" + gate.path + "'}]\n",
	})
	k.git("tag", "before")
	k.write("shop/.velocityci/pipelines/a.yml", "stages: [{name: all, blueprints: [bad]}]\n")
	k.write("shop/.velocityci/pipelines/default.yml", "on: {push: {branches: [nothing]}}\nstages: [{name: all, blueprints: [good, bad]}]\n")
	k.git("add", ".")
	k.git("commit", "-qm", "Build both")

	blank := k.visit("/builds?repository=shop").follow("Start a build")
	if sent := fields(all(blank.doc, atom.Form)[1]); sent.Get("name") != "default" {
		t.Errorf("the form begins as %v; want the default pipeline chosen", sent)
	}
	missing := blank.press("Start", nil)
	if missing.status != http.StatusUnprocessableEntity || !strings.Contains(missing.said(), "no value for the parameters color") || missing.beside("parameter.color") != "color needs a value" {
		t.Errorf("without its parameter: %d %q, and beside the field %q", missing.status, missing.said(), missing.beside("parameter.color"))
	}
	if wrong := blank.press("Start", url.Values{"ref": {"nowhere"}}); !strings.Contains(wrong.said(), "find nowhere") {
		t.Errorf("at no ref: %d %q", wrong.status, wrong.said())
	}
	if looked := missing.press("Show its parameters", url.Values{"ref": {"before"}}); looked.status != http.StatusOK || looked.said() != `there is no pipeline or blueprint "default"` {
		t.Errorf("at the commit before: %d %q; want no pipeline", looked.status, looked.said())
	}

	first := missing.press("Start", url.Values{"parameter.color": {"red"}})
	if first.said() != "You asked for this build." || !strings.Contains(text(first.doc), "By ann") {
		t.Fatalf("started, %s says %q", first.at, first.said())
	}
	if again := missing.press("Start", url.Values{"parameter.color": {"red"}}); again.at.Path != first.at.Path {
		t.Errorf("pressed twice, there are %s and %s", first.at, again.at)
	}
	failed := k.over(first.at.Path)
	if got := failed.buttons(); !strings.HasPrefix(failed.outcome(), "✗ failed") || !slices.Equal(got, []string{"Re-run what failed", "Re-run all"}) {
		t.Fatalf("it ended as %q, with the buttons %q", failed.outcome(), got)
	}
	if err := os.WriteFile(mended, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	pressed := failed.pressAtOnce(4, "Re-run what failed")
	rest := k.visit(pressed[0])
	for _, other := range pressed {
		if other != pressed[0] {
			t.Errorf("pressed at once, there are %s and %s", pressed[0], other)
		}
	}
	if again := failed.press("Re-run what failed", nil); again.at.Path != rest.at.Path || rest.at.Path == first.at.Path || rest.said() != "You asked for this build." {
		t.Errorf("pressed twice, there are %s and %s, which says %q", rest.at, again.at, rest.said())
	}
	done := k.over(rest.at.Path)
	if page := text(done.doc); !strings.HasPrefix(done.outcome(), "✓ succeeded") || !strings.Contains(page, "reused") {
		t.Errorf("re-run, it is %q: %s", done.outcome(), page)
	}
	if whole := done.press("Re-run all", nil); whole.at.Path == rest.at.Path || whole.at.Path == first.at.Path {
		t.Errorf("re-run as a whole, it is %s again", whole.at)
	}
	listed := map[string]bool{}
	for _, a := range all(k.visit("/builds?repository=shop").doc, atom.A) {
		if to, _ := attribute(a, "href"); strings.HasPrefix(to, "/builds/") {
			listed[to] = true
		}
	}
	if len(listed) != 3 {
		t.Errorf("there are the builds %v; want 3", listed)
	}

	waits := k.visit("/builds/" + k.start("wait"))
	if got := waits.buttons(); !slices.Equal(got, []string{"Cancel"}) {
		t.Errorf("while it runs there are the buttons %q", got)
	}
	reader := k.as("rita", "read").visit(waits.at.Path)
	if got := reader.buttons(); len(got) != 0 {
		t.Errorf("who may only read can press %q", got)
	}
	if page := waits.k.as("rita", "read").visit("/builds?repository=shop"); strings.Contains(text(page.doc), "Start a build") {
		t.Error("who may only read is offered to start a build")
	}
	reader.doc = waits.doc
	if refused := reader.press("Cancel", nil); refused.status != http.StatusForbidden {
		t.Errorf("who may only read cancels: %d", refused.status)
	}
	if stopped := waits.press("Cancel", nil); !strings.Contains(stopped.said(), "canceled by ann") {
		t.Errorf("canceled, %s says %q", stopped.at, stopped.said())
	}
	if over := k.over(waits.at.Path); !strings.Contains(over.outcome(), "canceled by ann") {
		t.Errorf("canceled, it is %q", over.outcome())
	}
	if twice := waits.press("Cancel", nil); twice.said() != "The build is over: canceled by ann." {
		t.Errorf("canceled twice, %s says %q", twice.at, twice.said())
	}
}

// What was asked for from a page before the server was started anew is not asked for
// again from that page.
func TestPressAcrossRestart(t *testing.T) {
	k := newKiosk(t, map[string]string{"shop": "steps: [{type: run, description: sell, script: 'true'}]\n"})
	page := k.visit("/builds?repository=shop").follow("Start a build")
	first := page.press("Start", nil)
	k.over(first.at.Path)
	k.stop()
	k.said = newSpeech()
	k.serve()
	at, err := url.Parse(k.url)
	if err != nil {
		t.Fatal(err)
	}
	page.at.Host = at.Host
	if again := page.press("Start", nil); again.at.Path != first.at.Path || first.said() != "You asked for this build." {
		t.Errorf("pressed at two servers, there are %s and %s", first.at, again.at)
	}
}

// kioskOf are the pages of a town's server, as somebody with a right sees them.
func (w *town) kioskOf(rights string) *kiosk {
	w.t.Helper()
	k := &kiosk{t: w.t, root: w.home, said: w.said, url: w.url}
	return k.as("ann", rights)
}

// heldBuild is the page of the build of a fork's pull request, which waits for
// approval.
func (w *town) heldBuild() (fork *forgetest.Repo, path string) {
	w.t.Helper()
	w.push("main", w.onPull())
	fork = w.repo.Fork(w.t, "mallory")
	head := fork.Push(w.t, "topic", forgetest.Change{Author: "mallory", Files: files{"n": "1"}})
	w.repo.OpenPull(w.t, forgetest.PullOptions{Branch: "topic", From: fork, Author: "mallory"})
	c := w.is(head, "action_required")
	id, _, _ := strings.Cut(c.ExternalID, "/")
	return fork, "/builds/" + id
}

// Without scripts, a held build of a fork is approved: the commit and the plan that
// the page shows, and no other.
func TestApproveWithoutScripts(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	fork, path := w.heldBuild()
	k := w.kioskOf("act")
	page := k.visit(path)
	if got := page.buttons(); !slices.Equal(got, []string{"Approve this commit and plan", "Cancel"}) {
		t.Fatalf("there are the buttons %q", got)
	}
	sent := fields(all(page.doc, atom.Form)[1])
	commit, plan := sent.Get("commit"), sent.Get("plan")
	if shown := text(page.doc); len(commit) != 40 || len(plan) != 64 || !strings.Contains(shown, commit) || !strings.Contains(shown, plan) {
		t.Errorf("the form approves %v, which the page does not show", sent)
	}
	for _, other := range []url.Values{{"commit": {strings.Repeat("1", 40)}}, {"plan": {strings.Repeat("2", 64)}}, {"plan": {""}}} {
		if refused := page.press("Approve this commit and plan", other); refused.status != http.StatusConflict || !strings.Contains(text(refused.doc), "not what would be built") {
			t.Errorf("approved as %v: %d %s", other, refused.status, text(refused.doc))
		}
	}
	if got := k.visit(path).outcome(); !strings.Contains(got, "held: approval") {
		t.Errorf("after approvals of something else it is %q", got)
	}
	want := "ann approved commit " + commit + " by plan " + plan + "."
	for range 2 {
		if let := page.press("Approve this commit and plan", nil); let.said() != want || let.status != http.StatusOK {
			t.Errorf("approved: %d %q; want %q", let.status, let.said(), want)
		}
	}
	next := fork.Push(t, "topic", forgetest.Change{Author: "mallory", Files: files{"n": "2"}})
	c := w.is(next, "action_required") // what comes next waits again
	id, _, _ := strings.Cut(c.ExternalID, "/")
	later := k.visit("/builds/" + id)
	if refused := later.press("Approve this commit and plan", url.Values{"commit": {commit}}); refused.status != http.StatusConflict {
		t.Errorf("the approval of an old head for a new one: %d", refused.status)
	}
}
