package forgetest

import "slices"

// forever is how long tokens of people live here, in windows of limits.
const forever = 1000

// PersonalToken makes a token of a person, with permissions such as "contents": it
// opens what the person may read, or the given ones of that. Public repositories can
// be read with any. People push by git, and ask the API for nothing but to read.
func (g *GitHub) PersonalToken(login string, permissions map[string]string, repos ...*Repo) string {
	defer g.hold()()
	t := &token{value: "github_pat_" + newSecret(), who: g.account(login), permissions: map[string]string{"metadata": "read"}}
	for name, level := range permissions {
		t.permissions[name] = level
	}
	for _, r := range repos {
		t.repos = append(t.repos, r.id)
	}
	t.expires = g.Clock.Now().Add(forever * window)
	g.tokens[t.value] = t
	return t.value
}

// RevokePersonal ends a token of a person.
func (g *GitHub) RevokePersonal(value string) {
	defer g.hold()()
	g.tokens[value].revoked = true
}

// meter is whose requests those with the token are: an installation's or a person's.
func (t *token) meter() int64 {
	if t.who != nil {
		return t.who.ID
	}
	return t.in.id
}

// pushes reports whether git may push with the token.
func (t *token) pushes(r *Repo) bool {
	may := t.who == nil || slices.Contains([]string{"admin", "maintain", "write"}, r.roles[t.who.ID])
	return may && t.reaches(r) && t.allows("contents", "write") && !r.archived
}
