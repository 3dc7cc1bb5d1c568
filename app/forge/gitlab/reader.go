package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
)

// maxToken bounds what may be a token, in bytes.
const maxToken = 2048

// CanRead reports whether GitLab lets whoever has a token, of the scope read_api
// or api, read the repository of a project, which goes by its number.
// Anybody may have typed the token; it is shown to GitLab, and kept nowhere.
//
// What is asked for is the newest commit: the project as such is shown to guests,
// too, who may not read what is in it.
func (g *GitLab) CanRead(ctx context.Context, r forge.Repository, token string) (bool, error) {
	if !canBeToken(token) {
		return false, nil
	}
	o := g.options
	o.Token = NewToken(token)
	theirs, err := asPerson(o, g.base)
	if err != nil {
		return false, err
	}
	_, err = theirs.send(ctx, http.MethodGet, within(r.ID, "repository/commits"), url.Values{"per_page": {"1"}}, nil, nil)
	var (
		limit *forge.LimitError
		f     *failure
	)
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &limit) || !errors.As(err, &f):
		return false, fmt.Errorf("ask who may read %s: %w", r.Name, err)
	case f.status >= http.StatusBadRequest && f.status < http.StatusInternalServerError:
		return false, nil
	}
	return false, fmt.Errorf("ask who may read %s: %w", r.Name, err)
}

// canBeToken reports whether a text can be sent as a token.
func canBeToken(text string) bool {
	return text != "" && len(text) <= maxToken && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}
