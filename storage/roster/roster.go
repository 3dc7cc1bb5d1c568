// Package roster keeps who may build and who may ask: builders, registration
// tokens and API tokens, in the architect's own bare repository. Every change is
// one commit on Ref, whose subject reads as history:
//
//	builder linux-1: revoked by ann
//
// Secrets are stored as hashes only, and are found by a public id that is part of
// them, so that no comparison of secrets takes a time that tells about them. Any
// number of processes may read and change a roster at the same time: a change
// names the commit it replaces, and one that lost a race is made again from its
// read.
//
// Where a builder is and what it does now is not kept here: that is the
// architect's memory.
package roster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/velocity-ci/velocity/storage/git"
)

// Ref is the branch of the roster in its repository.
const Ref = "refs/velocity/roster"

var (
	// ErrRefused means that a secret opens nothing: it is unknown, used, revoked or
	// expired. Which of them it is, is not told.
	ErrRefused = errors.New("unknown, used, revoked or expired token")
	// ErrTaken means that another builder has the name or the key.
	ErrTaken = errors.New("there is a builder of that name or with that key already")
	// ErrNone means that there is no such builder or token.
	ErrNone = errors.New("no such entry")
)

// A FieldError means that an entry was refused for what one of its fields says.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// A Roster is the list in one repository. It is safe for concurrent use.
type Roster struct {
	repo *git.Repository
	now  func() time.Time
}

// Open is the roster in repo. It reads nothing yet and writes nothing.
func Open(repo *git.Repository, now func() time.Time) *Roster {
	return &Roster{repo: repo, now: now}
}

// maxRecord bounds one record, in bytes.
const maxRecord = 64 << 10

// head is the newest commit, Zero before the first change.
func (r *Roster) head() (git.Hash, error) {
	h, err := r.repo.Ref(Ref)
	if errors.Is(err, git.ErrRefNotFound) {
		return git.Zero, nil
	}
	return h, err
}

// read returns a record as of a commit, or ErrNone.
func (r *Roster) read(head git.Hash, kind, id string) ([]byte, error) {
	if head.IsZero() {
		return nil, ErrNone
	}
	data, err := r.repo.ReadFile(head, recordPath(kind, id), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	return data, err
}

// ids lists the records of a kind as of a commit, sorted.
func (r *Roster) ids(head git.Hash, kind string) ([]string, error) {
	if head.IsZero() {
		return nil, nil
	}
	entries, err := r.repo.List(head, kind)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name, ".json"); ok {
			ids = append(ids, id)
		}
	}
	return ids, err
}

func recordPath(kind, id string) string { return path.Join(kind, id+".json") }

// edit sets a record, or with nil data removes it.
func edit(kind, id string, data []byte) git.FileEdit {
	return git.FileEdit{Path: recordPath(kind, id), Data: data}
}

// change makes what draw drafts from the newest commit, durable when it returns.
func (r *Roster) change(ctx context.Context, draw func(head git.Hash) (git.Revision, error)) error {
	return r.repo.Revise(ctx, Ref, r.now, draw)
}

// checkName accepts what may be a name of a builder or token: it becomes part of
// file names, of subjects on NATS, of lines of history and of command lines.
func checkName(name string) error {
	const field = "name"
	const longest = 63
	switch {
	case name == "" || len(name) > longest:
		return &FieldError{field, fmt.Sprintf("%.80q does not have 1 to %d characters", name, longest)}
	case strings.Trim(name, "-_") != name:
		return &FieldError{field, fmt.Sprintf("%q begins or ends with - or _", name)}
	}
	for _, c := range name {
		if c != '-' && c != '_' && (c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c)) {
			return &FieldError{field, fmt.Sprintf("%q has other characters than letters, digits, - and _", name)}
		}
	}
	return nil
}

// actor is whoever made a change, for a line of history.
func actor(by string) string {
	by = strings.Join(strings.FieldsFunc(by, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }), " ")
	if by == "" {
		return "someone"
	}
	return by
}
