package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
)

// maxMessage limits, in bytes, what is read of an answer that is none.
const maxMessage = 64 << 10

// A failure is an answer of GitHub that is none, as far as it can be read.
type failure struct {
	where   string // "POST /repos/o/r/check-runs"
	status  int
	header  http.Header
	message string
	limit   bool // go-github says that it is a limit
	token   bool // it was a token that was asked for
}

func (f *failure) Error() string {
	text := fmt.Sprintf("github: %s: %d", f.where, f.status)
	if f.message != "" {
		text += " " + f.message
	}
	switch {
	case f.moved():
		text += " (the repository has another name by now)"
	case f.status == http.StatusUnauthorized:
		text += " (the App's number and key do not fit, or a clock is wrong by a minute or more)"
	}
	return text
}

// moved reports whether the answer is a redirect that was not followed.
func (f *failure) moved() bool { return f.status >= 300 && f.status < 400 }

// failureOf reads what go-github made of an answer. It is nil for other errors.
func failureOf(err error) *failure {
	var (
		known     *failure
		plain     *github.ErrorResponse
		primary   *github.RateLimitError
		secondary *github.AbuseRateLimitError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &plain):
		f := newFailure(plain.Response, plain.Message)
		for _, e := range plain.Errors {
			f.message += fmt.Sprintf("; %s %s %s", e.Field, e.Code, e.Message)
		}
		f.message = line(f.message, maxReason)
		return f
	case errors.As(err, &primary):
		f := newFailure(primary.Response, primary.Message)
		f.limit = true
		return f
	case errors.As(err, &secondary):
		f := newFailure(secondary.Response, secondary.Message)
		f.limit = true
		return f
	}
	return nil
}

// maxReason limits, in bytes, what of a message goes into an error.
const maxReason = 500

func newFailure(resp *http.Response, message string) *failure {
	f := &failure{status: resp.StatusCode, header: resp.Header, message: line(message, maxReason)}
	if resp.Request != nil {
		f.where = resp.Request.Method + " " + resp.Request.URL.Path
	}
	return f
}

// failureOfToken reads the answer to a request for an installation's token.
func failureOfToken(resp *http.Response, body []byte) *failure {
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &said) != nil {
		said.Message = http.StatusText(resp.StatusCode)
	}
	f := newFailure(resp, said.Message)
	f.token = true
	return f
}

// limited reports whether the answer means that too much was asked. Documented are
// 403 and 429 with one of two headers; seen are also 429 without, and 403 with
// nothing but a sentence.
func (f *failure) limited() bool {
	if f.status != http.StatusForbidden && f.status != http.StatusTooManyRequests {
		return false
	}
	text := strings.ToLower(f.message)
	return f.status == http.StatusTooManyRequests || f.limit ||
		f.header.Get("Retry-After") != "" || f.header.Get("X-RateLimit-Remaining") == "0" ||
		strings.Contains(text, "rate limit") || strings.Contains(text, "abuse detection")
}

// kind is the error of package forge that the failure is, or nil if it may pass by
// itself.
func (f *failure) kind() error {
	switch f.status {
	case http.StatusForbidden:
		return forge.ErrForbidden
	case http.StatusNotFound, http.StatusGone, http.StatusUnavailableForLegalReasons:
		return forge.ErrGone
	case http.StatusUnprocessableEntity:
		switch {
		case f.token: // more was asked for than is granted
			return forge.ErrForbidden
		case strings.HasPrefix(f.message, "No commit found"): // or not yet
			return forge.ErrGone
		}
		return forge.ErrInvalid
	}
	return nil
}

// classify gives an error its kind. What has one, as a limit has that another
// session of ours met on the way, keeps it.
func classify(err error) error {
	var limit *forge.LimitError
	if errors.As(err, &limit) {
		return limit
	}
	for _, kind := range []error{forge.ErrGone, forge.ErrForbidden, forge.ErrInvalid} {
		if errors.Is(err, kind) {
			return unwrapURL(err)
		}
	}
	f := failureOf(err)
	switch {
	case f == nil:
		return fmt.Errorf("github: %w", withoutQuery(err))
	case f.kind() == nil:
		return f
	}
	return fmt.Errorf("%w: %w", f.kind(), f)
}

// unwrapURL takes away what net/http says around an error of our own transport.
func unwrapURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// withoutQuery shortens the address in an error of net/http: what was asked for is
// of no use to who reads it.
func withoutQuery(err error) error {
	var at *url.Error
	if !errors.As(err, &at) {
		return err
	}
	address, _, _ := strings.Cut(at.URL, "?")
	var token *ghinstallation.HTTPError
	if errors.As(err, &token) && token.RootCause != nil {
		return &url.Error{Op: at.Op, URL: address, Err: fmt.Errorf("token of installation %d: %w", token.InstallationID, token.RootCause)}
	}
	return &url.Error{Op: at.Op, URL: address, Err: at.Err}
}
