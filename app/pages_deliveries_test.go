package app_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html/atom"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/storage/delivery"
	"github.com/velocity-ci/velocity/storage/git"
)

// remembers has a server that is not started yet remember deliveries.
func (w *town) remembers(what func(ctx context.Context, inbox *delivery.Inbox) error) {
	w.t.Helper()
	state := filepath.Join(w.home, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		w.t.Fatal(err)
	}
	repo, err := git.MakeBare(w.t.Context(), filepath.Join(state, "architect.git"))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := what(w.t.Context(), delivery.Open(repo, time.Now)); err != nil {
		w.t.Fatal(err)
	}
}

// rows are the deliveries that a page lists: how each stands, what came, what became
// of it.
func (s *sheet) rows() (listed []string) {
	for _, row := range all(s.doc, atom.Tr)[1:] {
		var cells []string
		for _, cell := range all(row, atom.Td)[1:5] {
			cells = append(cells, text(cell))
		}
		listed = append(listed, strings.Join(cells, " | "))
	}
	return listed
}

// until opens a page until it says something.
func (k *kiosk) until(path, what string) {
	k.t.Helper()
	for ctx := atHome(k.t); ; {
		page := k.visit(path)
		if strings.Contains(page.said(), what) {
			return
		}
		if ctx.Err() != nil {
			k.t.Fatalf("%s never says %q, but %q", path, what, page.said())
		}
	}
}

// Whoever keeps the server sees what forges sent and what was refused, and has what
// was quarantined tried again, which others may not.
func TestDeliveriesPage(t *testing.T) {
	const key, gone = "github-00aa", "github-00bb"
	w := foundTown(t, forgetest.GitHubOptions{})
	w.settle()
	w.remembers(func(ctx context.Context, inbox *delivery.Inbox) error {
		now := time.Now()
		for i, k := range []string{key, gone} {
			d := delivery.Delivery{Forge: "github", Key: k, Event: "ping", Body: []byte("{}"), Received: now.Add(-time.Duration(i) * 5 * 24 * time.Hour)}
			if err := inbox.Accept(ctx, d); err != nil {
				return err
			}
			if err := inbox.Failed(ctx, k, "internal error: <b>it</b> broke"); err != nil {
				return err
			}
		}
		inbox.Refuse("bad signature", "203.0.113.7")
		inbox.Refuse("bad signature", "203.0.113.7")
		over, stop := context.WithCancel(ctx)
		stop()
		inbox.Run(over) // writes down what was refused
		return nil
	})
	w.serve()
	k := w.kioskOf("admin")

	page := k.visit("/deliveries")
	quarantined := "✗ quarantined | github | ping " + key + " | internal error: <b>it</b> broke Try again " + key
	refused := "✗ refused | 203.0.113.7 | | bad signature (2 times)"
	if got := page.rows(); len(got) != 3 || !slices.Contains(got, quarantined) || !slices.Contains(got, strings.ReplaceAll(refused, "| |", "|  |")) {
		t.Fatalf("listed are\n%s", strings.Join(got, "\n"))
	}
	for state, want := range map[string]int{"refused": 1, "quarantined": 2, "": 3} {
		if got := k.visit("/deliveries?" + url.Values{"state": {state}}.Encode()).rows(); len(got) != want {
			t.Errorf("of state %q there are %q; want %d", state, got, want)
		}
	}
	if none := text(k.visit("/deliveries?state=done").doc); !strings.Contains(none, "No delivery is done.") {
		t.Errorf("before anything is done the page is %s", none)
	}

	other := w.kioskOf("act")
	if hidden := other.visit("/deliveries"); hidden.status != 403 || strings.Contains(text(hidden.doc), key) {
		t.Errorf("who may act sees deliveries: %d %s", hidden.status, text(hidden.doc))
	}
	theirs := *page
	theirs.k = other
	if got := theirs.press("Try again "+key, nil); got.status != 403 {
		t.Errorf("who may act has deliveries tried again: %d", got.status)
	}

	for range 2 {
		if tried := page.press("Try again "+key, nil); !slices.Contains([]string{"The delivery " + key + " waits to be tried again.", "The delivery " + key + " was worked off."}, tried.said()) {
			t.Errorf("tried again: %d, %s says %q", tried.status, tried.at, tried.said())
		}
		k.until("/deliveries?said="+key, "was worked off")
	}
	if got := k.visit("/deliveries?state=done").rows(); len(got) != 1 || !strings.HasPrefix(got[0], "✓ done | github | ping "+key) {
		t.Errorf("tried again, done are %q", got)
	}
	if n := strings.Count(w.said.text(), "delivery="+key); n != 1 {
		t.Errorf("pressed twice, it was worked off %d times", n)
	}
	if lost := page.press("Try again "+gone, nil); lost.status != 404 || !strings.Contains(text(lost.doc), "the forge can send it again") {
		t.Errorf("what is not kept any more: %d %s", lost.status, text(lost.doc))
	}
}
