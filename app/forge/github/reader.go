package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
)

// maxToken bounds what may be a token, in bytes: those of Apps have some 520.
const maxToken = 2048

// CanRead reports whether GitHub lets whoever has a token read the contents of a
// repository, which goes by its number. Anybody may have typed the token; it is shown
// to GitHub, and kept nowhere.
//
// What is asked for is the newest commit: a repository as such may be shown to a
// token that opens nothing in it.
func (a *App) CanRead(ctx context.Context, r forge.Repository, token string) (bool, error) {
	if !canBeToken(token) {
		return false, nil
	}
	s := a.session(&bearer{token: token, next: bounded{a.options.Transport}})
	_, err := s.get(ctx, fmt.Sprintf("repositories/%d/commits/HEAD?per_page=1", r.ID), nil)
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
