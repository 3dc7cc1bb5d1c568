package github

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

func TestCanRead(t *testing.T) {
	s := newStage(t, 1)
	contents := map[string]string{"contents": "read"}
	other := s.hub.CreateRepo(t, "acme/other", forgetest.RepoOptions{Private: true})
	other.Push(t, "main", forgetest.Change{Files: map[string]string{"a": "1"}})
	s.there.Privatize()
	s.there.Role("wile", "read")
	reader := s.hub.PersonalToken("wile", contents)
	revoked := s.hub.PersonalToken("wile", contents)
	s.hub.RevokePersonal(revoked)
	for name, tt := range map[string]struct {
		token string
		want  bool
	}{
		"a reader's":                     {reader, true},
		"a stranger's":                   {s.hub.PersonalToken("runner", contents), false},
		"a reader's, for something else": {s.hub.PersonalToken("wile", contents, other), false},
		"one that opens no contents":     {s.hub.PersonalToken("wile", nil), false},
		"a revoked one":                  {revoked, false},
		"nonsense":                       {"nonsense", false},
		"none":                           {"", false},
		"one that is no header":          {"a\r\nX: b", false},
		"a long one":                     {strings.Repeat("a", 5000), false},
	} {
		if got, err := s.app.CanRead(t.Context(), s.repo, tt.token); got != tt.want || err != nil {
			t.Errorf("CanRead with the token %s: %v, %v; want %v", name, got, err, tt.want)
		}
	}
	s.there.Rename("hammer") // it is the same repository
	if got, err := s.app.CanRead(t.Context(), s.repo, reader); !got || err != nil {
		t.Errorf("CanRead of a renamed repository: %v, %v; want true", got, err)
	}
	s.there.Role("wile", "")
	if got, err := s.app.CanRead(t.Context(), s.repo, reader); got || err != nil {
		t.Errorf("CanRead of who is let in no more: %v, %v; want false", got, err)
	}
	s.there.Publicize()
	if got, err := s.app.CanRead(t.Context(), s.repo, reader); !got || err != nil {
		t.Errorf("CanRead of a public repository: %v, %v; want true", got, err)
	}
}

// What is no answer is neither yes nor no, and says no token.
func TestCanReadUnsure(t *testing.T) {
	s := newStage(t, 1)
	token := s.hub.PersonalToken("wile", map[string]string{"contents": "read"})
	commits := forgetest.OnCall(http.MethodGet, "/commits/HEAD")
	for name, m := range map[string]forgetest.Mishap{
		"unavailable": {Kind: forgetest.Refused}, "lost": {Kind: forgetest.Unanswered}, "limited": {Kind: forgetest.Limited},
	} {
		s.faults.Inject(commits, m)
		got, err := s.app.CanRead(t.Context(), s.repo, token)
		if got || err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v, %v; want an error without the token", name, got, err)
		}
		var limit *forge.LimitError
		if errors.As(err, &limit) != (name == "limited") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := s.app.CanRead(t.Context(), s.repo, token); !got || err != nil { // the limit was that of the one request
		t.Errorf("CanRead after that: %v, %v; want true", got, err)
	}
}
