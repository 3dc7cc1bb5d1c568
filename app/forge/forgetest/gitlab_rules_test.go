package forgetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/builder/require"
)

func TestLabStatusesHaveTransitions(t *testing.T) {
	t.Parallel()
	for _, lenient := range []bool{false, true} {
		s := newLab(t, GitLabOptions{Lenient: lenient})
		path := fmt.Sprintf("/projects/%d/statuses/%s", s.p.ID(), s.head)
		for i, test := range []struct {
			state string
			want  int
			text  string
		}{
			{"pending", 201, ""},
			{"pending", 400, "Cannot transition status via :enqueue from :pending"},
			{"running", 201, ""},
			{"running", 400, "Cannot transition status via :run from :running"},
			{"pending", 400, "Cannot transition status via :enqueue from :running"},
			{"skipped", 400, "Cannot transition status via :skip from :running"},
			{"success", 201, ""},
			{"success", 201, ""}, // is another one
			{"running", 201, ""}, // and another
		} {
			if lenient && (i == 1 || i == 3) {
				test.want, test.text = 201, ""
			}
			status, answer := s.ask(t, http.MethodPost, path, object{"state": test.state, "ref": "main", "name": "ci"})
			if status != test.want || !strings.Contains(answer, test.text) {
				t.Errorf("%d: %s: %d %s; want %d", i, test.state, status, answer, test.want)
			}
		}
		if all := s.p.Statuses(s.head); len(all) != 3 {
			t.Errorf("statuses %+v", all)
		}
		if _, err := s.p.WaitStatus(within(t), s.head, "ci", func(l LabStatus) bool { return l.State == "running" }); err != nil {
			t.Error(err)
		}
		for body, want := range map[string]int{
			`{"state":"success","ref":"main","pipeline_id":1}`: 404,
			`{"state":"success","ref":"gone"}`:                 404,
		} {
			if status, answer := s.ask(t, http.MethodPost, path, json.RawMessage(body)); status != want {
				t.Errorf("%s: %d %s; want %d", body, status, answer, want)
			}
		}
		if v := s.Violations(); v != nil {
			t.Errorf("violations %q", v)
		}
		s.ask(t, http.MethodPost, path, object{"state": "success", "ref": "main", "description": strings.Repeat("x", 256)})
		s.ask(t, http.MethodPost, path, object{"state": "success"})
		if v := s.Violations(); len(v) != 2 {
			t.Errorf("violations %q; want of a text that is too long, and of no ref", v)
		}
	}
}

func TestLabHoldsRequestsAgainstTheDescription(t *testing.T) {
	t.Parallel()
	s := newLab(t, GitLabOptions{Data: require.ForgeData(t)})
	path := fmt.Sprintf("/projects/%d", s.p.ID())
	for i, ask := range []struct{ method, path, body string }{
		{http.MethodPost, path + "/statuses/" + s.head, `{"state":"timed_out","ref":"main"}`},
		{http.MethodPost, path + "/hooks", `{"push_events":true}`},
		{http.MethodPost, path + "/merge_requests/1/notes", `{"text":"x"}`},
		{http.MethodGet, path + "/merge_requests?state=open", `null`},
		{http.MethodGet, path + "/nothing", `null`},
	} {
		status, answer := s.ask(t, ask.method, ask.path, json.RawMessage(ask.body))
		if status < 400 || len(s.Violations()) != i+1 {
			t.Errorf("%s %s: %d %s, violations %q", ask.method, ask.path, status, answer, s.Violations())
		}
	}
	if !s.Validated() {
		t.Error("it says that nothing is held against anything")
	}
}

func TestLabIsClonedWithAToken(t *testing.T) {
	t.Parallel()
	s := newLab(t, GitLabOptions{})
	clone := func(password string) error {
		url := strings.Replace(s.p.CloneURL(), "://", "://oauth2:"+password+"@", 1)
		cmd := exec.CommandContext(within(t), "git", "clone", "--quiet", url, filepath.Join(t.TempDir(), "clone"))
		cmd.Env = append(environment(), "GIT_TERMINAL_PROMPT=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := clone(s.Token("root", "read_repository").Value); err != nil {
		t.Error(err)
	}
	for name, token := range map[string]*LabToken{
		"no scope": s.Token("root", "read_user"), "a stranger": s.Token("stranger", "api"), "no token": {Value: "x"},
	} {
		if clone(token.Value) == nil {
			t.Errorf("%s: it can be cloned", name)
		}
	}
	_, err := s.WaitCall(within(t), func(c Call) bool { return strings.HasSuffix(c.Path, "git-upload-pack") && c.Status == http.StatusOK })
	if err != nil {
		t.Error(err)
	}
}
