package builder

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Derived parameters, with real executables: what they print decides what the
// step sees, or why the task fails.
func TestDerivedParameters(t *testing.T) {
	late := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		derive  string // body of the executable
		derived plan.Derived
		secret  bool
		shows   string // the step prints every variable that begins with d_
		log     string // somewhere in the log
		reason  string // begins with
	}{
		"exports": {
			derive:  `printf %s '{"state":"success","exports":{"d_a":"1","b":"two\nlines"},"later":{"keys":[]}}'; echo note >&2`,
			derived: plan.Derived{Exports: map[string]string{"b": "d_b"}},
			shows:   "d_a=1\nd_b=two\nlines\n", log: "note\n",
		},
		"arguments": {
			derive:  `[ $# = 2 ] && printf '{"state":"success","exports":{"d_a":"%s","d_b":"%s"}}' "$1" "$2"`,
			derived: plan.Derived{Arguments: []plan.Variable{{Name: "x", Value: "${base} ;"}, {Name: "y", Value: ""}}},
			shows:   "d_a=-x=v1 ;\nd_b=-y=\n",
		},
		"standard input is empty": {
			derive: `printf '{"state":"success","exports":{"d_a":"%s"}}' "$(cat)"`,
			shows:  "d_a=\n",
		},
		"earlier values in the environment": {
			derive: `printf '{"state":"success","exports":{"d_a":"%s %s"}}' "$base" "$VELOCITY_GIT_BRANCH"`,
			shows:  "d_a=v1 main\n",
		},
		"no earlier secrets in the environment": {
			derive: `printf '{"state":"success","exports":{"d_a":"%s"}}' "${hidden-unset}"`,
			shows:  "d_a=unset\n",
		},
		"warning": {
			derive: `echo '{"state":"warning","error":"registry slow","exports":{"d_a":"1"}}'`,
			shows:  "d_a=1\n", log: "[velocity] derived parameter ./derive: warning: registry slow\n",
		},
		"secret": {
			derive: `echo '{"state":"success","secret":true,"exports":{"d_a":"a long secret"}}'`,
			shows:  "",
		},
		"known to be secret": {
			derive: `echo '{"state":"success","exports":{"d_a":"a long secret"}}'`,
			secret: true,
			shows:  "",
		},
		"lasting": {
			derive: `echo '{"state":"success","expires":"2030-01-01T00:00:01Z","exports":{"d_a":"1"}}'`,
			shows:  "d_a=1\n",
		},
		"failed":          {derive: `echo '{"state":"failed","error":"no such tag"}'; exit 1`, reason: "derived parameter ./derive: no such tag"},
		"failed, no word": {derive: `echo '{"state":"failed"}'`, reason: "derived parameter ./derive: it failed without an error text"},
		"expired":         {derive: `echo '{"state":"success","expires":"2030-01-01T00:00:00Z"}'`, reason: "derived parameter ./derive: its values expired at 2030-01-01T00:00:00Z"},
		"odd expiry":      {derive: `echo '{"state":"success","expires":"tomorrow"}'`, reason: `derived parameter ./derive: expires "tomorrow" is not a time`},
		"exit":            {derive: `echo '{"state":"success"}'; exit 4`, reason: "derived parameter ./derive: exit 4 although its state is success"},
		"not JSON":        {derive: `echo hello`, reason: "derived parameter ./derive: its output is not the JSON it should be: invalid character 'h' looking for beginning of value; it begins with \"hello\\n\""},
		"not JSON, exit":  {derive: `echo usage; exit 2`, reason: "derived parameter ./derive: exit 2: its output is not"},
		"nothing":         {derive: `:`, reason: "derived parameter ./derive: its output is not the JSON it should be: unexpected end"},
		"odd state":       {derive: `echo '{"state":"ok"}'`, reason: `derived parameter ./derive: its state is "ok": want success, warning or failed`},
		"too much":        {derive: `head -c 70000 /dev/zero`, reason: "derived parameter ./derive: it printed more than 65536 bytes"},
		"short secret":    {derive: `echo '{"state":"success","secret":true,"exports":{"d_a":"short"}}'`, reason: "derived parameter ./derive: secret d_a is too short to be masked"},
		"steering":        {derive: `echo '{"state":"success","exports":{"PATH":"/tmp"}}'`, reason: "parameter PATH: the variable PATH steers how programs run"},
		"steering, renamed": {
			derive:  `echo '{"state":"success","exports":{"a":"/tmp"}}'`,
			derived: plan.Derived{Exports: map[string]string{"a": "LD_PRELOAD"}},
			reason:  "parameter LD_PRELOAD: the variable LD_PRELOAD steers how programs run",
		},
		"built in": {derive: `echo '{"state":"success","exports":{"git.branch":"x"}}'`, reason: "derived parameter ./derive: it may not set git.branch"},
		"odd name": {derive: `echo '{"state":"success","exports":{"a b":"x"}}'`, reason: `parameter "a b": not a name`},
		"time":     {derive: `sleep 600`, derived: plan.Derived{Timeout: plan.Duration(50 * time.Millisecond)}, reason: "derived parameter ./derive: timed out after 50ms"},
		"absent":   {derived: plan.Derived{Use: "bin/none"}, reason: "derived parameter bin/none: command \"./bin/none\""},
		"outside":  {derived: plan.Derived{Use: "../x"}, reason: `derived parameter ../x: "../x" leads out of the workspace`},
		"unknown":  {derived: plan.Derived{Arguments: []plan.Variable{{Name: "x", Value: "${nope}"}}}, reason: "derived parameter ./derive: argument x: ${nope}: no parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.Now = func() time.Time { return late }
			w.folders.fill = func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "derive"), []byte("#!/bin/sh\n"+c.derive+"\n"), 0o700)
			}
			if c.derived.Use == "" {
				c.derived.Use = "./derive"
			}
			task := with(script(`echo BEGIN; env | grep -A1 ^d_ | sort | grep -E '^(d_|lines)' || true`),
				plan.Parameter{Name: "base", Value: given("v1")},
				plan.Parameter{Name: "hidden", Secret: true, Value: given("hidden value")},
				plan.Parameter{Secret: c.secret, Derived: &c.derived})
			r := w.build(t, task)
			if c.reason != "" {
				if r.Verdict != dispatch.Failed || !strings.HasPrefix(r.Reason, c.reason) {
					t.Errorf("ended %s, %q; want failed, %q", r.Verdict, r.Reason, c.reason)
				}
				return
			}
			before, shows, _ := strings.Cut(w.ear.text(), "BEGIN\n")
			if r.Verdict != dispatch.Succeeded || shows != c.shows || !strings.Contains(before, c.log) {
				t.Errorf("ended %s, %q; the step saw %q, want %q; before that %q", r.Verdict, r.Reason, shows, c.shows, before)
			}
		})
	}
}

// A secret that one parameter derives reaches the step that lists it, masked.
func TestDerivedSecretReachesItsStep(t *testing.T) {
	w := newBench(t)
	w.folders.fill = func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "derive"),
			[]byte("#!/bin/sh\necho '{\"state\":\"success\",\"secret\":true,\"exports\":{\"key\":\"a long secret\"}}'\n"), 0o700)
	}
	task := with(script(`echo "$key"; [ "$key" = "a long ""secret" ]`), plan.Parameter{Derived: &plan.Derived{Use: "derive"}})
	task.Steps[0].Secrets = []string{"key"}
	if r := w.build(t, task); r.Verdict != dispatch.Succeeded || w.ear.text() != "***\n" {
		t.Errorf("ended %s, %q, log %q", r.Verdict, r.Reason, w.ear.text())
	}
}

func TestDerivedNeedsTheHost(t *testing.T) {
	w := newBench(t)
	w.Host, w.Docker = nil, &engine{}
	r := w.build(t, with(image("busybox"), plan.Parameter{Derived: &plan.Derived{Use: "derive"}}))
	if want := "derived parameter derive needs the host executor, which this builder does not allow"; r.Reason != want {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

func FuzzParseDerivation(f *testing.F) {
	for _, s := range []string{`{"state":"success","exports":{"a":"b"}}`, `{"state":"failed","error":"x","secret":true}`, `[]`, `{"state":1}`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		d, err := parseDerivation(out)
		if err != nil {
			return
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseDerivation(again)
		if diff := cmp.Diff(d, back); err != nil || diff != "" {
			t.Errorf("printed and read again: %v\n%s", err, diff)
		}
	})
}
