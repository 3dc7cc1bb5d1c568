package git

import (
	"errors"
	"fmt"
	"sync/atomic"
)

var (
	// ErrNotRepository says that neither a path nor any folder above it is a
	// git repository.
	ErrNotRepository = errors.New("not a git repository")
	// ErrUnsupported says that a repository uses a format we do not speak, such
	// as SHA-256 objects or reftable.
	ErrUnsupported = errors.New("unsupported repository format")
	// ErrObjectNotFound says that an object is in none of the repository's packs
	// and not loose either, also after looking again.
	ErrObjectNotFound = errors.New("object not found")
	// ErrRefNotFound says that a ref, or a revision a person wrote, does not exist.
	ErrRefNotFound = errors.New("ref not found")
	// ErrRefMoved says that a ref did not have the value an update names. The
	// error is a *RefMovedError; the remedy is to retry from the read.
	ErrRefMoved = errors.New("ref moved")
	// ErrTooLarge says that a file or folder exceeds the limit the caller gave.
	ErrTooLarge = errors.New("too large")
)

// OwnerError refuses a repository that belongs to another user, whose
// configuration could make git run commands as us.
type OwnerError struct {
	Path  string // the folder to be declared safe, as git names it
	Owner string // user name, or uid where it has none
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s is owned by %s, not by you; if you trust it: git config --global --add safe.directory %s",
		e.Path, e.Owner, shellQuote(e.Path))
}

// RefMovedError tells which ref had another value than the update named.
// Zero means that the ref does not exist.
type RefMovedError struct {
	Name      string
	Want, Got Hash
}

func (e *RefMovedError) Error() string {
	return fmt.Sprintf("%s is %s, expected %s", e.Name, orAbsent(e.Got), orAbsent(e.Want))
}

// races counts the updates of this process that came too late.
var races atomic.Int64

// Races is how many updates of refs this process has had to give up, and usually
// tried again, since somebody else had moved a ref.
func Races() int64 { return races.Load() }

// Is makes errors.Is(err, ErrRefMoved) true.
func (e *RefMovedError) Is(target error) bool { return target == ErrRefMoved }

func orAbsent(h Hash) string {
	if h.IsZero() {
		return "absent"
	}
	return h.String()
}
