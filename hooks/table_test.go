package hooks

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/velocity-ci/velocity/app/forge"
)

// ourApp is our App's number in the payloads of testdata.
const ourApp = 42

// A meaning is what a payload of testdata says, and what is done about it.
type meaning struct {
	event  Event
	action Action
}

// payloads reads the payloads of one forge, by their names.
func payloads(tb testing.TB, forge string) map[string]Delivery {
	tb.Helper()
	archive, err := txtar.ParseFile("testdata/" + forge + ".txtar")
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]Delivery{}
	for _, f := range archive.Files {
		event, _, _ := strings.Cut(f.Name, "--")
		all[forge+"/"+strings.TrimSuffix(f.Name, ".json")] = Delivery{Forge: forge, Event: event, Body: f.Data}
	}
	return all
}

// TestTable decodes each payload of testdata and asks the table about it. Each row has
// to be used by a payload of each forge that it names.
func TestTable(t *testing.T) {
	used := map[string]bool{}
	for _, side := range []struct {
		forge string
		means map[string]meaning
	}{{fromGitHub, hubMeans}, {fromGitLab, labMeans}} {
		all := payloads(t, side.forge)
		for name := range side.means {
			if _, ok := all[name]; !ok {
				t.Errorf("there is no payload %s", name)
			}
		}
		for name, d := range all {
			want, ok := side.means[name]
			if !ok {
				t.Errorf("nobody wrote down what %s means", name)
			}
			got, err := Decode(d)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got.Kind == Ignored && got.Note == "" {
				t.Errorf("%s is ignored for no reason", name)
			}
			got.Note = ""
			if diff := cmp.Diff(want.event, got); diff != "" {
				t.Errorf("%s means something else (-want +got):\n%s", name, diff)
			}
			row := Decide(got, ourApp)
			if row.Action != want.action {
				t.Errorf("%s is about %s, so the action is %q; want %q", name, got.Kind, row.Action, want.action)
			}
			used[fmt.Sprint(side.forge, row)] = true
		}
	}
	for _, row := range table {
		if row.GitHub != "" && !used[fmt.Sprint(fromGitHub, row)] || row.GitLab != "" && !used[fmt.Sprint(fromGitLab, row)] {
			t.Errorf("no payload of one of its forges leads to %+v", row)
		}
	}
}

// TestDecideIsTotal: every kind has a row that always holds, as its last one.
func TestDecideIsTotal(t *testing.T) {
	last := map[Kind]Condition{}
	for _, row := range table {
		if before, ok := last[row.Kind]; ok && before == Always {
			t.Errorf("the row %+v is behind one that always holds", row)
		}
		last[row.Kind] = row.When
	}
	for kind, when := range last {
		if when != Always {
			t.Errorf("for %s the last row holds only if %s", kind, when)
		}
	}
	for _, kind := range []Kind{"", "news"} {
		if row := Decide(Event{Kind: kind}, ourApp); row.Action != Drop {
			t.Errorf("Decide of kind %q = %s; want drop", kind, row.Action)
		}
	}
}

// TestNoAppOwnsNoCheck: before an App is set up there is none whose checks are ours,
// also not those that name no App.
func TestNoAppOwnsNoCheck(t *testing.T) {
	for _, kind := range []Kind{CheckRerun, SuiteRerun, SuiteAsked, ActionAsked} {
		if row := Decide(Event{Kind: kind}, 0); row.Action != Drop {
			t.Errorf("Decide(%s) without an App = %s; want drop", kind, row.Action)
		}
	}
}

// TestAsksAreButtons: a comment asks in the words of the buttons.
func TestAsksAreButtons(t *testing.T) {
	got := []string{AskRerun, AskFailed, AskCancel, AskApprove}
	want := []string{forge.DoRerun, forge.DoFailed, forge.DoCancel, forge.DoApprove}
	if !slices.Equal(got, want) {
		t.Errorf("comments ask for %q, buttons for %q", got, want)
	}
	if fromGitHub != string(forge.GitHub) || fromGitLab != string(forge.GitLab) {
		t.Errorf("deliveries come from %q and %q, repositories are on %q and %q", fromGitHub, fromGitLab, forge.GitHub, forge.GitLab)
	}
}

// TestPage holds docs/webhooks.md to the code.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("| event | GitHub | GitLab | if | action | what is done |\n|---|---|---|---|---|---|\n")
	for _, row := range table {
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s | %s |\n", row.Kind, row.GitHub, row.GitLab, row.When, row.Action, row.Text)
	}
	var answers strings.Builder
	answers.WriteString("| answer | reason | what to do |\n|---|---|---|\n")
	for _, r := range []*refusal{badMethod, tooLarge, badEncoding, badType, unsigned, stale, badSignature, tooMany, tooBusy, noDeadline, tooSlow, cutOff, notKept} {
		fmt.Fprintf(&answers, "| %d | %s | %s |\n", r.status, r.reason, r.hint)
	}
	for _, want := range []string{rows.String(), answers.String()} {
		if !strings.Contains(string(page), "\n\n"+want+"\n") {
			t.Errorf("docs/webhooks.md differs from the code, which has:\n%s", want)
		}
	}
}
