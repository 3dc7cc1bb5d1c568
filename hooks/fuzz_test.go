package hooks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func FuzzGitHub(f *testing.F) { fuzzDecode(f, fromGitHub) }

func FuzzGitLab(f *testing.F) { fuzzDecode(f, fromGitLab) }

// fuzzDecode decodes anything. There is no panic, spaces between the bytes change
// nothing, and what comes out can be relied on.
func fuzzDecode(f *testing.F, forge string) {
	for _, d := range payloads(f, forge) {
		f.Add(d.Event, d.Body)
	}
	f.Add("merge_request", []byte(`{"object_kind":"merge_request","object_attributes":{"action":"open","target":{},"source":{}}}`))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		d := Delivery{Forge: forge, Event: event, Body: body}
		e, err := Decode(d)
		if err != nil {
			if !cmp.Equal(e, Event{}) {
				t.Errorf("an error comes with the event %+v", e)
			}
			return
		}
		checkEvent(t, e)
		var dense bytes.Buffer
		if json.Compact(&dense, body) != nil { // ignored without a look
			return
		}
		d.Body = dense.Bytes()
		again, err := Decode(d)
		if diff := cmp.Diff(e, again); err != nil || diff != "" {
			t.Errorf("without spaces it means something else: %v\n%s", err, diff)
		}
	})
}

// checkEvent holds what every event promises.
func checkEvent(t *testing.T, e Event) {
	t.Helper()
	row := Decide(e, e.App)
	if row.Kind != e.Kind || row.Action == "" {
		t.Errorf("no row is for kind %q", e.Kind)
	}
	for _, c := range []plan.Commit{e.Commit, e.Before} {
		if _, err := plan.ParseCommit(string(c)); c != "" && (err != nil || c.Zero()) {
			t.Errorf("%q is no commit", c)
		}
	}
	for _, name := range []string{e.Ref, e.Target} {
		if name != "" && ref(name) != name {
			t.Errorf("%q is no ref", name)
		}
	}
	for _, text := range append([]string{e.Name, e.Sender.Login, e.Action, e.Check, e.External}, e.Labels...) {
		if text != word(text) {
			t.Errorf("the text %q got through", text)
		}
	}
	if e.Repository < 0 || e.Installation < 0 || e.Pull < 0 || e.Sender.ID < 0 || e.App < 0 {
		t.Errorf("a number below 0 in %+v", e)
	}
	switch e.Kind {
	case Ping, Ignored, AccessGained, AccessLost, NamesChanged:
		return
	case BranchPushed, GroupRequested:
		if e.Ref == "" || e.Commit == "" {
			t.Errorf("there is nothing to build in %+v", e)
		}
	case PullOpened, PullPushed, PullRetargeted, PullLabeled, PullClosed, PullOther, Commanded:
		if e.Pull == 0 {
			t.Errorf("no pull request in %+v", e)
		}
	}
	if e.Repository == 0 {
		t.Errorf("no repository in %+v", e)
	}
}

// FuzzSignature tries headers of both forges on a body. None fits that is not, digit
// by digit, what signing gives.
func FuzzSignature(f *testing.F) {
	body := []byte(`{}`)
	good := labSign(testKey, "id", "1", body)
	f.Add(hubSign(testSecret, body), "v2,x "+good, body)
	f.Add("sha256="+strings.Repeat("0", 64), "v1,"+strings.Repeat("A", 43)+"=", body)
	f.Add("sha1=00", strings.Repeat("v1,AAAA ", 20), []byte{})
	f.Fuzz(func(t *testing.T, hub, lab string, body []byte) {
		secrets, keys := []Secret{secret(t, testSecret)}, []Secret{secret(t, testKey)}
		sum, ok := parseHubSignature(hub)
		fits := ok && signs(secrets, sum, body)
		if want := strings.HasPrefix(hub, "sha256=") && strings.ToLower(hub) == hubSign(testSecret, body); fits != want {
			t.Errorf("the signature %q of %q fits: %v; want %v", hub, body, fits, want)
		}
		sums, _ := parseSignatures(lab)
		fits = false
		for _, sum := range sums {
			fits = signs(keys, sum, []byte("id.1."), body) || fits
		}
		want := labSign(testKey, "id", "1", body)
		if fits && !strings.Contains(lab, want) {
			t.Errorf("the signatures %q of %q fit; want %s among them", lab, body, want)
		}
		for _, sum := range sums {
			if !strings.Contains(lab, base64.StdEncoding.EncodeToString(sum)) {
				t.Errorf("%x was read from %q", sum, lab)
			}
		}
	})
}

// FuzzCommand reads any comment. What is a command prints as the line it was read
// from.
func FuzzCommand(f *testing.F) {
	for _, comment := range []string{
		"/velocity rerun", "/velocity rerun --failed\r\nwhy", "/velocity cancel ", "/velocity approve", "/velocity approve " + two,
		"> /velocity rerun", "/velocity retest", "/velocity approve 22",
	} {
		f.Add(comment)
	}
	lines := map[string]string{AskRerun: "rerun", AskFailed: "rerun --failed", AskCancel: "cancel", AskApprove: "approve"}
	f.Fuzz(func(t *testing.T, comment string) {
		ask, c, ours, err := command(comment)
		if !ours || err != nil {
			if ask != "" || c != "" {
				t.Errorf("command(%q) asks for %q of %q, and is no command", comment, ask, c)
			}
			return
		}
		line := "/velocity " + lines[ask]
		if c != "" {
			line += " " + string(c)
		}
		rest, found := strings.CutPrefix(comment, line)
		end, _, _ := strings.Cut(rest, "\n")
		if !found || strings.Trim(end, " \t\r") != "" {
			t.Errorf("command(%q) is read as %q", comment, line)
		}
	})
}
