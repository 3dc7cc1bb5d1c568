package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRevision bounds an expression that git is asked about, in bytes.
const maxRevision = 1024

// Revision finds the commit a person means: what Resolve finds, or else what git makes
// of the text, such as main~2, v1.0^, HEAD@{yesterday} or v1.0-3-g2fd4e1c. Errors:
// ErrRefNotFound.
//
// Git is asked about one text at a time: who may ask may be anybody, and a long way
// back takes a while.
func (r *Repository) Revision(ctx context.Context, rev string) (Hash, error) {
	_, h, err := r.Resolve(rev)
	if !errors.Is(err, ErrRefNotFound) || !expression(rev) {
		return h, err
	}
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return Zero, context.Cause(ctx)
	}
	// The text is a line of the input and never a part of the command line. What is
	// not found comes back as a line that is no id.
	out, gitErr := r.run(ctx, command{args: []string{"cat-file", "--batch-check=%(objectname)"}, stdin: strings.NewReader(rev + "\n")})
	var exit *exec.ExitError
	if errors.As(gitErr, &exit) && ctx.Err() == nil { // of HEAD@{9} git says so that there are fewer
		return Zero, fmt.Errorf("%w: %w", ErrRefNotFound, gitErr)
	}
	if gitErr != nil {
		return Zero, gitErr
	}
	object, parseErr := ParseHash(strings.TrimSuffix(string(out), "\n"))
	if parseErr != nil {
		return Zero, err
	}
	if h, err = r.Peel(object); err != nil {
		return Zero, fmt.Errorf("resolve %q: %w", rev, err)
	}
	return h, nil
}

// expression reports whether git is asked about a text. What begins with a dash never
// is. Neither are searches for messages (:/text and ^{/text}), in which others' regular
// expressions would be tried on the whole history.
func expression(rev string) bool {
	return rev != "" && len(rev) <= maxRevision && rev[0] != '-' && rev[0] != ':' && !strings.Contains(rev, "^{/") &&
		utf8.ValidString(rev) && !strings.ContainsFunc(rev, unicode.IsControl)
}
