package gitlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
)

// maxReason limits, in bytes, what of a message goes into an error.
const maxReason = 500

// A failure is an answer of GitLab that is none, as far as it can be read.
type failure struct {
	where   string // "POST projects/1/statuses/..."
	status  int
	header  http.Header
	message string
}

func (f *failure) Error() string {
	text := fmt.Sprintf("gitlab: %s: %d", f.where, f.status)
	if f.message != "" {
		text += " " + f.message
	} else {
		text += " " + http.StatusText(f.status)
	}
	switch {
	case f.status >= 300 && f.status < 400:
		text += " (it sends elsewhere, which is not followed: is the configured address of GitLab the right one, with https?)"
	case f.status == http.StatusUnauthorized:
		text += " (the token has expired, was revoked, or is of another GitLab: make a new one)"
	case strings.Contains(f.message, "insufficient_scope"):
		text += " (the token needs the scope api)"
	}
	return text
}

// kind is the error of package forge that the failure is, or nil if it may pass by
// itself.
func (f *failure) kind() error {
	switch f.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return forge.ErrForbidden
	case http.StatusNotFound, http.StatusGone, http.StatusUnavailableForLegalReasons:
		return forge.ErrGone
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge:
		return forge.ErrInvalid
	}
	return nil
}

// transition reports whether GitLab refused to move a status from the state in which
// it is.
func (f *failure) transition() bool {
	return f.status == http.StatusBadRequest && strings.Contains(f.message, "Cannot transition status")
}

// classify gives an error its kind.
func classify(err error) error {
	var f *failure
	if !errors.As(err, &f) || f.kind() == nil {
		return err
	}
	return fmt.Errorf("%w: %w", f.kind(), f)
}

// said is the message in the body of an answer. GitLab says it as a text, a list, or
// by field; what is no JSON is the page of a proxy in between, and nothing to read.
func said(body []byte) string {
	var o struct {
		Message     any    `json:"message"`
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &o) != nil {
		return ""
	}
	parts := []string{flat(o.Message), flat(o.Error), o.Description}
	return line(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": "), maxReason)
}

func flat(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var parts []string
		for _, one := range v {
			parts = append(parts, flat(one))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		var parts []string
		for k, one := range v {
			parts = append(parts, k+" "+flat(one))
		}
		slices.Sort(parts)
		return strings.Join(parts, ", ")
	}
	return ""
}
