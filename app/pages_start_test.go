package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html/atom"
)

// Without scripts, what is chosen at a ref is asked for in fields: what can be given,
// with the values there are to choose from, and no secret. What is wrong is told beside
// its field, and what was filled in stays.
func TestStartFieldsWithoutScripts(t *testing.T) {
	const odd = `</select><script>alert(1)</script>`
	k := newKiosk(t, map[string]string{
		"plain": "steps: [{type: run, script: 'true'}]\n",
		"mix": `parameters:
- {name: your-name, description: Who is greeted}
- {name: level, default: quick, otherOptions: [full, "` + odd + `"]}
- {name: note, default: "of ${git.branch}"}
- {name: token, secret: true, default: no secret to us}
- {name: late, default: ""}
matrix: {os: [linux, plan9]}
steps: [{type: run, script: 'echo "$your_name, $level, $note, $late, $os"'}]
`,
	})
	plain := k.visit("/start?repository=shop&name=plain")
	if shown := text(plain.doc); plain.said() != "" || !strings.Contains(shown, "plain asks for no parameters") {
		t.Errorf("without parameters: %q, %s", plain.said(), shown)
	}
	unseen := plain.press("Start", url.Values{"name": {"mix"}})
	if unseen.status != http.StatusUnprocessableEntity || !strings.Contains(unseen.said(), "mix has parameters that the form did not show") {
		t.Errorf("what was chosen after the form was drawn: %d %q", unseen.status, unseen.said())
	}
	form := plain.press("Show its parameters", url.Values{"name": {"mix"}})
	sent := fields(all(form.doc, atom.Form)[1])
	for name, want := range map[string]string{"name": "mix", "parameter.your-name": "", "parameter.level": "", "parameter.note": "", "parameter.late": "", "parameter.os": ""} {
		if got, ok := sent[name]; !ok || got[0] != want {
			t.Errorf("the field %s has %q; want %q", name, got, want)
		}
	}
	if sent.Has("parameter.token") {
		t.Error("a secret is asked for")
	}
	shown := text(form.doc)
	for _, want := range []string{"your-name (required)", "Who is greeted", "not given: “quick”", odd, "If it is left empty: “of ${git.branch}”", "If it is left empty: empty", "not given: every value of the list"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the form does not say %q: %s", want, shown)
		}
	}
	linked := k.visit("/start?" + url.Values{"repository": {"shop"}, "name": {"mix"}, "noreuse": {"1"}, "parameter.your-name": {"Ada, \"Countess\" <i>"}}.Encode())
	wrong := linked.press("Start", url.Values{"parameter.level": {"none"}})
	if got := wrong.beside("parameter.level"); wrong.status != http.StatusUnprocessableEntity || !strings.HasPrefix(got, "level can only be quick, full, ") || wrong.beside("parameter.your-name") != "" {
		t.Errorf("a value that is none of the list: %d, beside it %q", wrong.status, got)
	}
	kept := fields(all(wrong.doc, atom.Form)[1])
	if kept.Get("parameter.your-name") != "Ada, \"Countess\" <i>" || kept.Get("noreuse") != "1" {
		t.Errorf("what was filled in is now %v", kept)
	}
	started := wrong.press("Start", url.Values{"parameter.level": {odd}, "parameter.os": {"plan9"}})
	if started.said() != "You asked for this build." {
		t.Fatalf("started, %s says %q", started.at, started.said())
	}
	if done := k.over(started.at.Path); !strings.HasPrefix(done.outcome(), "✓ succeeded") {
		t.Errorf("it ended as %q", done.outcome())
	}
	_, log := k.open(started.at.Path + "/log/s0t0/raw")
	want := `Ada, "Countess" <i>, ` + odd + ", of "
	if !strings.Contains(log, want) || !strings.Contains(log, ", , plan9") {
		t.Errorf("the log is %q; want %q in it", log, want)
	}
	if gone := form.press("Start", url.Values{"name": {"plain"}, "parameter.your-name": {"Ada"}}); gone.status != http.StatusUnprocessableEntity || gone.said() != `there is no parameter "your-name"` {
		t.Errorf("a value for what is chosen no more: %d %q", gone.status, gone.said())
	}
}
