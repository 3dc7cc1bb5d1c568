package gitlab

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
)

func TestMoves(t *testing.T) {
	for _, test := range []struct {
		have string
		ours bool
		want string
		then string
	}{
		{"", false, pending, "pending"},
		{"", false, running, "running"},
		{"", false, success, "success"},
		{"created", false, pending, "pending"},
		{pending, true, pending, ""},
		{pending, true, running, "running"},
		{pending, true, failed, "failed"},
		{running, true, pending, ""},
		{running, true, running, ""},
		{running, true, success, "success"},
		{running, true, skipped, "canceled"},
		{success, true, running, ""},
		{success, true, failed, ""},
		{success, true, success, ""},
		{pending, false, pending, ""},
		{pending, false, running, "running"},
		{pending, false, failed, "failed"},
		{running, false, pending, "canceled pending"},
		{running, false, running, "canceled running"},
		{running, false, failed, "failed"},
		{running, false, skipped, "canceled"},
		{failed, false, pending, "pending"},
		{failed, false, failed, "failed"},
		{canceled, false, running, "running"},
	} {
		got := strings.Join(moves(shown{state: test.have, ours: test.ours}, test.want), " ")
		if got != test.then {
			t.Errorf("from %q (ours: %v) to %s: %q; want %q", test.have, test.ours, test.want, got, test.then)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, test := range []struct {
		check forge.Check
		want  status
	}{
		{forge.Check{}, status{state: pending}},
		{forge.Check{State: forge.Running}, status{state: running}},
		{forge.Check{State: forge.Final, Conclusion: forge.Success}, status{state: success}},
		{forge.Check{State: forge.Final, Conclusion: forge.Neutral, Title: "2 failed"}, status{state: success, description: "Advisory: 2 failed"}},
		{forge.Check{State: forge.Final, Conclusion: forge.Failure}, status{state: failed}},
		{forge.Check{State: forge.Final, Conclusion: forge.TimedOut, Title: "Timed out after 1 h"}, status{state: failed, description: "Timed out after 1 h"}},
		{forge.Check{State: forge.Final, Conclusion: forge.Cancelled, Error: true}, status{state: canceled}},
		{forge.Check{State: forge.Final, Conclusion: forge.Success, Error: true}, status{state: failed}},
		{forge.Check{State: forge.Final, Conclusion: forge.Skipped}, status{state: skipped}},
		{forge.Check{State: forge.Final, Conclusion: forge.ActionRequired}, status{state: pending}},
		{forge.Check{State: forge.Final, Conclusion: "new"}, status{state: failed}},
	} {
		test.check.Page = "https://ci.example.com/b"
		test.want.target = test.check.Page
		if got := describe(test.check); got != test.want {
			t.Errorf("%+v\nis %+v; want %+v", test.check, got, test.want)
		}
	}
}

func TestDescribeKeepsTheLimits(t *testing.T) {
	long := strings.Repeat("世", 300)
	for _, page := range []string{"https://ci.example.com/", "javascript:alert(1)", "https://ci.example.com/" + long} {
		s := describe(forge.Check{Name: long, Title: "glpat-0123456789abc\n" + long, External: "b-17", Page: page})
		for what, text := range map[string]string{"name": s.name, "description": s.description, "target": s.target} {
			if len(text) > 255 || !utf8.ValidString(text) {
				t.Errorf("%s has %d bytes: %q", what, len(text), text)
			}
		}
		if strings.Contains(s.description, "0123") || strings.Contains(s.description, "\n") {
			t.Errorf("description %q", s.description)
		}
		if (s.target == "") != strings.HasSuffix(s.description, " (b-17)") {
			t.Errorf("nothing, or too much, says which build: %q, %q", s.target, s.description)
		}
	}
}

func TestTame(t *testing.T) {
	for in, want := range map[string]string{
		"/close":                            `\/close`,
		"a\n/merge\r/approve":               "a\n\\/merge\n\\/approve",
		"  /assign @all":                    "  \\/assign @\u200ball",
		"> /label ~x":                       `> \/label ~x`,
		"a/b":                               "a/b",
		"<!-- velocity -->":                 "&lt;!-- velocity -->",
		"```\n/unsubscribe\nglpat-01234567": "```\n\\/unsubscribe\n***",
	} {
		if diff := cmp.Diff(want, tame(in)); diff != "" {
			t.Errorf("tame(%q) (-want +got):\n%s", in, diff)
		}
	}
	got := tame("```\n" + strings.Repeat("世\n", 1<<16))
	if len(got) > maxNote+200 || !utf8.ValidString(got) || strings.Count(got, "```") != 2 {
		t.Errorf("a long text has %d bytes and ends %q", len(got), got[len(got)-100:])
	}
}

// refusing is an api that has a status that it lets nobody move.
type refusing struct{ state string }

func (r refusing) ask(_ context.Context, method, path string, _ url.Values, _, into any) (int, error) {
	switch into := into.(type) {
	case *token:
		into.User = 1
	case *[]found:
		*into = []found{{State: r.state, Name: "n", Ref: "main", Author: user{ID: 1}}}
	}
	if method == http.MethodPost {
		return 0, &failure{where: method + " " + path, status: http.StatusBadRequest, message: "Cannot transition status via :success"}
	}
	return 0, nil
}

func TestARefusedTransitionCountsIfItIsThere(t *testing.T) {
	for state, want := range map[string]error{pending: forge.ErrInvalid, running: forge.ErrInvalid, success: nil} {
		g, err := Open(Options{Token: NewToken("t"), Transport: &http.Transport{}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		g.api = refusing{state}
		c := forge.Check{
			Repository: forge.Repository{Key: key(1)}, Commit: "1111111111111111111111111111111111111111", Ref: "refs/heads/main",
			Name: "n", External: "b1", State: forge.Final, Conclusion: forge.Success,
		}
		if _, err := g.Post(t.Context(), c, forge.Told{}); !errors.Is(err, want) {
			t.Errorf("with a status that is %s: %v; want %v", state, err, want)
		}
	}
}
