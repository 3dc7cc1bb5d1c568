package hooks

import (
	"strings"
	"testing"
)

// TestPoison: what cannot be understood is an error, and says what is missing.
func TestPoison(t *testing.T) {
	const repo = `"repository":{"id":1}`
	for _, test := range []struct{ forge, event, body, want string }{
		{"gitea", "push", `{}`, "no forge we know"},
		{"github", "push", ``, "no JSON"},
		{"github", "push", `payload=1`, "no JSON"},
		{"github", "push", `{"ref":"refs/heads/main"`, "no JSON"},
		{"github", "push", "\x1f\x8b\x08\x00", "no JSON"},
		{"github", "push", strings.Repeat("[", 20_000), "no JSON"},
		{"github", "push", `null`, "which repository"},
		{"github", "push", `[]`, "which repository"},
		{"github", "push", `{"repository":{"id":"1"}}`, "which repository"},
		{"github", "push", `{"repository":{"id":-1}}`, "which repository"},
		{"github", "push", `{"repository":{"id":1e30}}`, "which repository"},
		{"github", "push", `{` + repo + `,"after":"` + two + `"}`, "ref"},
		{"github", "push", `{` + repo + `,"ref":"refs/heads/a..b","after":"` + two + `"}`, "ref"},
		{"github", "push", `{` + repo + `,"ref":"--upload-pack=x","after":"` + two + `"}`, "ref"},
		{"github", "push", `{` + repo + `,"ref":"refs/heads/main","after":"2222222"}`, "which commit"},
		{"github", "push", `{` + repo + `,"ref":"refs/heads/main"}`, "which commit"},
		{"github", "pull_request", `{` + repo + `,"action":"opened"}`, "which pull request"},
		{"github", "pull_request", `{"action":"opened","number":7,"repository":null}`, "which repository"},
		{"github", "merge_group", `{` + repo + `,"action":"checks_requested"}`, "which commit"},
		{"github", "merge_group", `{` + repo + `,"action":"checks_requested","merge_group":{"head_sha":"` + two + `"}}`, "ref"},
		{"github", "merge_group", `{` + repo + `,"action":"destroyed"}`, "which commit"},
		{"github", "check_run", `{` + repo + `,"action":"rerequested"}`, "which commit"},
		{"github", "check_suite", `{` + repo + `,"action":"rerequested"}`, "which commit"},
		{"github", "issue_comment", `{` + repo + `,"action":"created","issue":{"pull_request":{}}}`, "which pull request"},
		{"github", "installation", `{"action":"deleted"}`, "which installation"},
		{"github", "installation_repositories", `{"action":"removed","installation":{"id":9},"repositories_removed":[]}`, "which repository"},
		{"github", "installation_repositories", `{"action":"removed","installation":{"id":9},"repositories_removed":{"id":1}}`, "which repository"},
		{"gitlab", "Push Hook", `x`, "no JSON"},
		{"gitlab", "Push Hook", `{"object_kind":"push","ref":"refs/heads/main","after":"` + two + `"}`, "which repository"},
		{"gitlab", "Push Hook", `{"object_kind":"push","project_id":1}`, "ref"},
		{"gitlab", "System Hook", `{"event_name":"repository_update"}`, "which repository"},
		{"gitlab", "System Hook", `{"event_name":"project_destroy"}`, "which repository"},
		{"gitlab", "Merge Request Hook", `{"object_kind":"merge_request","object_attributes":{"action":"open","target":{},"source":{}}}`, "which repository"},
		{"gitlab", "Merge Request Hook", `{"object_kind":"merge_request","project":{"id":1}}`, "which pull request"},
		{"gitlab", "Note Hook", `{"object_kind":"note","object_attributes":{"noteable_type":"MergeRequest"}}`, "which repository"},
	} {
		e, err := Decode(Delivery{Forge: test.forge, Event: test.event, Body: []byte(test.body)})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Decode(%s %s %.80q) = %+v, %v; want an error with %q", test.forge, test.event, test.body, e, err, test.want)
		}
	}
}

func TestRef(t *testing.T) {
	for _, good := range []string{"refs/heads/main", "refs/heads/-x", "refs/heads/ä/日本", "refs/heads/" + two, "refs/tags/v1.0%2F", "refs/heads/$(x)", "refs/pull/1/head"} {
		if ref(good) != good {
			t.Errorf("ref(%q) = %q", good, ref(good))
		}
	}
	for _, bad := range []string{
		"", "main", "HEAD", "-x", "refs/", "refs/heads/", "refs/heads//x", "refs/heads/x/", "refs/heads/.x", "refs/heads/x.lock", "refs/heads/x.lock/y",
		"refs/heads/x.", "refs/heads/a..b", "refs/heads/a b", "refs/heads/a\nb", "refs/heads/a\x7f", "refs/heads/a~1", "refs/heads/a^", "refs/heads/a:b",
		"refs/heads/a?", "refs/heads/a*", "refs/heads/[a", `refs/heads/a\b`, "refs/heads/a@{1}", "refs/heads/\xff", "refs/heads/" + strings.Repeat("x", longest),
	} {
		if got := ref(bad); got != "" {
			t.Errorf("ref(%q) = %q; want none", bad, got)
		}
	}
}

func TestWord(t *testing.T) {
	for _, bad := range []string{"a\nb", "a\x1b[31mb", "a\u202eb", "\xff", strings.Repeat("x", longest+1)} {
		if got := word(bad); got != "" {
			t.Errorf("word(%q) = %q; want none", bad, got)
		}
	}
	if got := word("Ünï códe 日本"); got == "" {
		t.Error("a word of another language counts as missing")
	}
}
