package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// The program's exit statuses.
const (
	statusFine    = 0
	statusFailed  = 1 // the build or the check failed
	statusUsage   = 2 // usage or configuration
	statusProblem = 3 // could not be done
)

// A failure is an error with the exit status it leads to, and advice. Without an
// error the command has said all there is to say itself.
type failure struct {
	status int
	err    error
	advice string
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("status %d", f.status)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// hint adds what the user can do about it.
func (f *failure) hint(format string, args ...any) *failure {
	f.advice = fmt.Sprintf(format, args...)
	return f
}

// usage is a mistake in what was asked for.
func usage(format string, args ...any) *failure {
	return &failure{status: statusUsage, err: fmt.Errorf(format, args...)}
}

// diagnose decides what an error means to the person at the command line.
func diagnose(err error) *failure {
	var (
		known    *failure
		owner    *git.OwnerError
		findings blueprint.Findings
		unknown  *blueprint.UnknownNameError
		missing  *blueprint.MissingError
		value    *blueprint.ValueError
		refused  *client.StatusError
		sent     *url.Error
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &owner), errors.As(err, &findings), errors.As(err, &value):
		return &failure{status: statusUsage, err: err}
	case errors.As(err, &unknown):
		return unknownName(unknown)
	case errors.As(err, &missing):
		return missingParameters(missing)
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return usage("%w", err).hint("velocity login URL keeps a token for a server")
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
		return usage("%w", err)
	case errors.Is(err, git.ErrNotRepository):
		return usage("%w", err).hint("git init makes one; --repo PATH names another")
	case errors.Is(err, storage.ErrNoBuild):
		return usage("%w", err).hint("velocity builds lists those that are recorded here")
	case errors.Is(err, git.ErrRefNotFound), errors.Is(err, git.ErrUnsupported):
		return usage("%w", err)
	case errors.As(err, &sent):
		return &failure{status: statusProblem, err: err, advice: unanswered(sent)}
	}
	return &failure{status: statusProblem, err: err}
}

// unanswered is advice about a request that got no answer; "" if there is none.
func unanswered(err *url.Error) string {
	var (
		authority x509.UnknownAuthorityError
		plain     tls.RecordHeaderError
		network   *net.OpError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &authority):
		return "--ca FILE names the certificate of an authority of your own; velocity login URL --ca FILE remembers it"
	case errors.As(err, &plain), errors.Is(err, http.ErrSchemeMismatch):
		return "what answers there does not speak TLS: is it another port?"
	case errors.As(err, &network):
		return "see that a server runs there, and that name and port are right"
	}
	return ""
}

// complain prints what went wrong, in as many lines as the error has, and
// returns the exit status.
func (c *cli) complain(ctx context.Context, err error) int {
	f := diagnose(err)
	if f.err == nil {
		return f.status
	}
	message := f.err.Error()
	var findings blueprint.Findings
	switch {
	case errors.As(err, &findings):
		for _, finding := range findings { // as compilers do, for editors to read
			fmt.Fprintln(c.Err, term.Clean(finding.String()))
		}
		message = "the configuration has errors"
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		message = "interrupted"
	}
	for line := range strings.Lines(message) {
		fmt.Fprintf(c.Err, "velocity: %s\n", term.Clean(strings.TrimSuffix(line, "\n")))
	}
	for line := range strings.Lines(f.advice) {
		fmt.Fprintf(c.Err, "  %s\n", term.Clean(strings.TrimSuffix(line, "\n")))
	}
	return f.status
}
