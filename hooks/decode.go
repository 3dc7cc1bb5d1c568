package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Decode reads what a delivery says. Events that are not for us are of kind Ignored.
// An error means that nobody can tell what it says, now or later: something is
// missing that it cannot be understood without.
//
// Only what is used is looked at. Anything else may be missing, of another type or
// new, as it is in recordings of both forges.
func Decode(d Delivery) (Event, error) {
	var e Event
	var err error
	switch d.Forge {
	case fromGitHub:
		e, err = decodeGitHub(d.Event, d.Body)
	case fromGitLab:
		e, err = decodeGitLab(d.Event, d.Body)
	default:
		err = fmt.Errorf("%q is no forge we know", d.Forge)
	}
	if err != nil {
		return Event{}, fmt.Errorf("decode %s delivery %q: %w", d.Forge, d.Event, err)
	}
	return e, nil
}

// Errors of deliveries that cannot be understood.
var (
	errNoRepository = errors.New("it does not say which repository it is about")
	errNoNumber     = errors.New("it does not say which pull request it is about")
	errNoCommit     = errors.New("it does not say which commit it is about")
	errNoRef        = errors.New("it does not name a ref that git could have")
)

// unmarshal reads JSON into a struct of ours. A value of another type than ours is as
// good as missing: if we need it, whoever looks for it says so.
func unmarshal(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	var odd *json.UnmarshalTypeError
	if errors.As(err, &odd) { // the rest was read all the same
		return nil
	}
	if err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	return nil
}

func ignored(format string, args ...any) Event {
	return Event{Kind: Ignored, Note: fmt.Sprintf(format, args...)}
}

// longest is how many bytes of a text are believed. Names of forges are shorter, and
// what is longer would fill logs.
const longest = 1 << 10

// word is a text of a forge, for logs and comparisons. One that is too long, or has
// characters that do not show, counts as missing.
func word(text string) string {
	hidden := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
	if len(text) > longest || !utf8.ValidString(text) || strings.ContainsFunc(text, hidden) {
		return ""
	}
	return text
}

// number is the number of a repository, a pull request or a person; 0 is none.
func number(n int64) int64 { return max(n, 0) }

// commit is a commit that exists, or "". The zeros mean that there is none.
func commit(id string) plan.Commit {
	c, err := plan.ParseCommit(id)
	if err != nil || c.Zero() {
		return ""
	}
	return c
}

// isZero reports whether id is the zeros that stand for a ref that is gone.
func isZero(id string) bool {
	c, err := plan.ParseCommit(id)
	return err == nil && c.Zero()
}

// branch is the full name of a branch that a forge names shortly, or "".
func branch(name string) string { return ref(plan.BranchPrefix + name) }

// ref is a full name that git could have given to a ref, or "". What begins with "-"
// as an argument cannot, as there is a prefix. Source: git-check-ref-format(1).
func ref(name string) string {
	if len(name) > longest || strings.Contains(name, "..") || strings.Contains(name, "@{") || !utf8.ValidString(name) {
		return ""
	}
	if !strings.HasPrefix(name, "refs/") || strings.HasSuffix(name, ".") ||
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(` ~^:?*[\`, r) }) {
		return ""
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return ""
		}
	}
	return name
}

// pushed fills in what a push of a branch or tag says.
func (e *Event) pushed(name, before, after string) error {
	e.Ref = ref(name)
	e.Before = commit(before)
	switch {
	case e.Ref == "":
		return errNoRef
	case plan.Branch(e.Ref) == "" && plan.Tag(e.Ref) == "":
		e.Kind, e.Note = Ignored, "neither a branch nor a tag"
	case isZero(after):
		e.Kind = RefDeleted
	case commit(after) == "":
		return errNoCommit
	case plan.Tag(e.Ref) != "":
		e.Kind = TagPushed // its commit may be another one than after, a tag object
	default:
		e.Kind, e.Commit = BranchPushed, commit(after)
	}
	return nil
}

// commanded fills in what a comment on a pull request says.
func (e *Event) commanded(comment string) {
	ask, c, ours, err := command(comment)
	switch {
	case !ours:
		e.Kind, e.Note = Ignored, "a comment that begins with no command"
	case err != nil:
		e.Kind, e.Note = Ignored, err.Error()
	default:
		e.Kind, e.Action, e.Commit = Commanded, ask, c
	}
}
