package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/storage/roster"
)

// as are headers that come with a session.
func as(session *http.Cookie, more ...string) http.Header {
	h := http.Header{"Cookie": {session.String()}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// onceIn is the once of the forms on a page.
func (r *rig) onceIn(path string, session *http.Cookie) string {
	r.t.Helper()
	_, text := r.visit("GET", path, session)
	_, behind, ok := strings.Cut(text, `name="once" value="`)
	once, _, _ := strings.Cut(behind, `"`)
	if !ok || once == "" {
		r.t.Fatalf("%s has no form: %s", path, text)
	}
	return once
}

// Whatever a page of somebody else has a browser send with its session changes
// nothing, whichever form it is.
func TestFormsOfOthers(t *testing.T) {
	r := newRig(t)
	changed := 0
	r.front.Changed = func(string) { changed++ }
	book := &ledger{}
	r.front.Deliveries = book
	secret, _ := r.token(roster.Admin)
	session := r.signIn(secret)
	once := r.onceIn("/start?repository=shop", session)
	forms := 0
	for _, route := range web.Routes() {
		method, pattern, _ := strings.Cut(route.Pattern, " ")
		if method != http.MethodPost || routes[route.Pattern].shape != aPage {
			continue
		}
		forms++
		path := strings.NewReplacer("{id}", "aaaaaa-7", "{name}", "b1", "{key}", "github-1").Replace(pattern) + "?repository=shop"
		form := url.Values{"once": {once}, "ref": {"main"}, "name": {"default"}}
		for _, from := range [][]string{
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
		} {
			if got := r.post(path, form, as(session, from...)); got.status != http.StatusForbidden || got.location != "" {
				t.Errorf("%s from %v: %d to %q; want 403", route.Pattern, from, got.status, got.location)
			}
		}
		if status, _ := r.visit(http.MethodGet, path, session); status != http.StatusMethodNotAllowed && pattern != "/start" {
			t.Errorf("GET %s: %d; want 405", path, status)
		}
		if got := r.post(path, url.Values{"once": {strings.Repeat("x", 2<<20)}}, as(session)); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with 2 MiB: %d", route.Pattern, got.status)
		}
	}
	if forms < 7 {
		t.Errorf("there are %d forms", forms)
	}
	if changed != 0 || book.retried != nil || r.clerks["shop"].asked != nil {
		t.Errorf("they drained %d builders, retried %v, started %v", changed, book.retried, r.clerks["shop"].asked)
	}
}

// Who is not signed in any more when they press gets to the page with the button, and
// not to where its form is sent.
func TestPressAfterSignOut(t *testing.T) {
	r := newRig(t)
	for path, next := range map[string]string{
		"/builds/aaaaaa-7/rerun":     "/builds/aaaaaa-7",
		"/start?repository=shop":     "/start?repository=shop",
		"/builders/b1/drain":         "/builders",
		"/deliveries/github-1/retry": "/deliveries",
	} {
		got := r.post(path, nil, nil)
		if want := "/login?" + (url.Values{"next": {next}}).Encode(); got.status != http.StatusSeeOther || got.location != want {
			t.Errorf("%s: %d to %s; want %s", path, got.status, got.location, want)
		}
	}
}

// What is asked for is recorded as asked for by whoever has the session, as it was
// filled in; and mistakes are not.
func TestStartForm(t *testing.T) {
	r := newRig(t)
	secret, _ := r.token(roster.Act)
	session := r.signIn(secret)
	const path = "/start?repository=shop"
	once := r.onceIn(path, session)
	for _, c := range []struct {
		once, name, color string
		more              []string // names of further fields
		status            int
	}{
		{"", "unit", "", nil, 400}, {"x", "unit", "", nil, 400}, {"-1.x", "unit", "", nil, 409}, {once + strings.Repeat("x", 99), "unit", "", nil, 400}, {"zzzzzzzzzzzz.x", "unit", "", nil, 400},
		{once, "gone", "blue", nil, 422}, {once, "unit", "blue", nil, 422}, {once, "unit", "grey", []string{"note"}, 422},
		{once, "unit", "deep red=1", []string{"note"}, 303},
	} {
		form := url.Values{"once": {c.once}, "ref": {" main "}, "name": {c.name}, "parameter.color": {c.color}, "actor": {"root"}, "noreuse": {"1"}}
		for _, name := range c.more {
			form.Set("parameter."+name, "")
		}
		got := r.post(path, form, as(session))
		if got.status != c.status || c.status == 303 && got.location != "/asked/1?repository=shop" {
			t.Errorf("%v: %d to %q; want %d", form, got.status, got.location, c.status)
		}
	}
	asked := r.clerks["shop"].asked
	if len(asked) != 1 {
		t.Fatalf("asked are %+v; want one", asked)
	}
	want := fmt.Sprint(map[string]string{"color": "deep red=1"}, "unit", "main", "ann", true)
	if got := fmt.Sprint(asked[0].Parameters, asked[0].Name, asked[0].Ref, asked[0].Actor, asked[0].NoReuse); got != want {
		t.Errorf("asked is %s; want %s", got, want)
	}
	r.now = func() time.Time { return noon.Add(29 * 24 * time.Hour) }
	if got := r.post(path, url.Values{"once": {once}}, as(session)); got.status != http.StatusSeeOther {
		t.Errorf("after four weeks: %d", got.status)
	}
	if asked := r.clerks["shop"].asked; len(asked) != 2 {
		t.Errorf("asked are %+v", asked)
	}
	secret, _ = r.token(roster.Act)
	r.now = func() time.Time { return noon.Add(31 * 24 * time.Hour) }
	if got := r.post(path, url.Values{"once": {once}}, as(r.signIn(secret))); got.status != http.StatusConflict {
		t.Errorf("after a month: %d", got.status)
	}
}

// An address can have a page say only what is so.
func TestSaidIsSo(t *testing.T) {
	r := newRig(t)
	secret, _ := r.token(roster.Admin)
	session := r.signIn(secret)
	for path, want := range map[string]string{
		"/builds/aaaaaa-7?said=asked": "", "/builds/aaaaaa-7?said=approved": "", "/builds/aaaaaa-7?said=<b>": "",
		"/builds/aaaaaa-7?said=canceled": "Too late to cancel it: the build is over. It succeeded.",
		"/builders?said=b1":              "",
	} {
		_, text := r.visit("GET", path, session)
		_, said, _ := strings.Cut(text, `autofocus>`)
		if said, _, _ = strings.Cut(said, "<"); said != want {
			t.Errorf("%s says %q; want %q", path, said, want)
		}
	}
}

// A builder is drained and resumed by whoever keeps the server, and nobody else sees
// the buttons or can press them.
func TestTurnBuilderFromPage(t *testing.T) {
	r := newRig(t)
	var changed []string
	r.front.Changed = func(name string) { changed = append(changed, name) }
	admin, _ := r.token(roster.Admin)
	acts, _ := r.token(roster.Act)
	token, _, err := r.front.Roster.Mint(t.Context(), roster.Registration{By: "ann"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := r.ask("POST", "/api/v1/builders/register", "", registration(t, r, "b1", token, 'A')); status != 200 {
		t.Fatal(status, body)
	}
	session := r.signIn(admin)
	for _, c := range []struct{ verb, says, offers string }{
		{"drain", "b1 finishes what it has, and takes nothing new.", "/builders/b1/resume"},
		{"drain", "b1 finishes what it has, and takes nothing new.", "/builders/b1/resume"},
		{"resume", "b1 takes work.", "/builders/b1/drain"},
	} {
		got := r.post("/builders/b1/"+c.verb, nil, as(session))
		if got.status != http.StatusSeeOther {
			t.Fatalf("%s: %d", c.verb, got.status)
		}
		_, text := r.visit("GET", got.location, session)
		if !strings.Contains(text, `autofocus>`+c.says+"<") || !strings.Contains(text, `action="`+c.offers+`"`) {
			t.Errorf("after %s the page is %s", c.verb, text)
		}
	}
	before := len(changed)
	if got := r.post("/builders/b1/drain", nil, as(r.signIn(acts))); got.status != http.StatusForbidden {
		t.Errorf("who may act drains: %d", got.status)
	}
	for _, name := range []string{"nobody", "..%2f", "%3Cb%3E"} {
		if got := r.post("/builders/"+name+"/drain", nil, as(session)); got.status != http.StatusNotFound {
			t.Errorf("drain %s: %d; want 404", name, got.status)
		}
	}
	if len(changed) != before || slices.ContainsFunc(changed, func(name string) bool { return name != "b1" }) {
		t.Errorf("told of changes were %q, the last of them by mistake", changed)
	}
}

// A ledger is a log of deliveries.
type ledger struct {
	all     []page.Delivery
	retried []string
}

func (l *ledger) List(_ context.Context, q web.DeliveryQuery, n int) ([]page.Delivery, error) {
	var found []page.Delivery
	for _, d := range l.all {
		if (q.Key == "" || d.Key == q.Key) && (q.State == "" || d.State == q.State) && (q.Until.IsZero() || !d.Received.After(q.Until)) && len(found) < n {
			found = append(found, d)
		}
	}
	return found, nil
}

func (l *ledger) Retry(_ context.Context, key string) error {
	if key != "github-1" {
		return web.ErrNoDelivery
	}
	l.retried = append(l.retried, key)
	return nil
}

// The log of deliveries is shown in parts, which together hold each once, whatever
// comes meanwhile.
func TestDeliveriesInParts(t *testing.T) {
	r := newRig(t)
	secret, _ := r.token(roster.Admin)
	session := r.signIn(secret)
	if status, text := r.visit("GET", "/deliveries", session); status != 200 || !strings.Contains(text, "No forge is configured") {
		t.Errorf("without forges: %d %s", status, text)
	}
	if got := r.post("/deliveries/github-1/retry", nil, as(session)); got.status != http.StatusNotFound {
		t.Errorf("retry without forges: %d", got.status)
	}
	book := &ledger{}
	r.front.Deliveries = book
	come := func(n int) {
		book.all = slices.Insert(book.all, 0, page.Delivery{
			Key: fmt.Sprintf("key-%d-", n), Forge: "github", Received: noon.Add(time.Duration(n/3) * time.Millisecond), State: page.DeliveryDone,
		})
	}
	var want []string
	for n := range 120 {
		come(n)
		want = append(want, fmt.Sprintf("key-%d-", 119-n))
	}
	var got []string
	for query, parts := "", 0; ; parts++ {
		status, text := r.visit("GET", "/deliveries"+query, session)
		if status != 200 || parts > 5 {
			t.Fatalf("part %d: %d", parts, status)
		}
		for _, row := range strings.Split(text, "<tr>")[2:] {
			_, behind, _ := strings.Cut(row, `<code class="quiet">`)
			key, _, _ := strings.Cut(behind, "<")
			got = append(got, key)
		}
		come(200 + parts)
		m := anchor.FindStringSubmatch(text)
		if m == nil {
			break
		}
		query = strings.ReplaceAll(m[2], "&amp;", "&")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, query := range []string{"?state=lost", "?from=x", "?from=-1&until=0", "?from=50", "?from=9999999&until=0"} {
		if status, _ := r.visit("GET", "/deliveries"+query, session); status != http.StatusBadRequest {
			t.Errorf("%s: %d; want 400", query, status)
		}
	}
}
