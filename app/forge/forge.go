// Package forge has the words that Velocity and forges share: repositories, pull
// requests, people, checks. The packages below it speak to forges with our
// credentials: github and gitlab in each one's dialect, report by showing builds.
//
// What a forge says of itself is believed as far as its numbers go. A name is for
// people and for the address of a request: it may belong to another repository or
// person tomorrow.
package forge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Kind is what a forge is.
type Kind string

// The kinds of forges.
const (
	GitHub Kind = "github" // github.com, or an Enterprise Server
	GitLab Kind = "gitlab" // gitlab.com, or a GitLab of one's own
)

// A Key is a repository for ever: it outlives renames and transfers.
type Key struct {
	Kind Kind
	ID   int64 // the forge's number of the repository or project
}

// String is the key in names of files and in logs, such as "github-1296269".
func (k Key) String() string { return fmt.Sprintf("%s-%d", k.Kind, k.ID) }

// ParseKey reads what String prints; ok is false for all else.
func ParseKey(text string) (k Key, ok bool) {
	kind, number, _ := strings.Cut(text, "-")
	id, err := strconv.ParseInt(number, 10, 64)
	k = Key{Kind: Kind(kind), ID: id}
	return k, err == nil && id > 0 && (k.Kind == GitHub || k.Kind == GitLab) && k.String() == text
}

// A Repository is one on a forge, as the forge told us last.
type Repository struct {
	Key
	Installation  int64  // of the GitHub App, through which it is reached; 0 on GitLab
	Name          string // as in its address: "owner/name", "group/sub/name"
	DefaultBranch string // full name of the ref; "" if the repository is empty
	Clone         string // https address that git fetches from
	Page          string // address for people
	Public        bool
	Archived      bool
}

// A User is somebody on a forge. The zero value is nobody that is known.
type User struct {
	ID    int64
	Login string
	Bot   bool
}

// A Pull is a pull request, or a merge request of GitLab.
type Pull struct {
	Number   int64       // as people know it: GitLab's iid
	Head     plan.Commit // its newest commit
	HeadRef  string      // full name of the branch in the head's repository; "" if unknown
	BaseRef  string      // full name of the branch that it is for
	Fork     bool        // the head is in another repository, or in one that is gone
	Author   User
	Labels   []string
	Draft    bool
	Open     bool
	Modified time.Time
}

// Ref is where the forge shows the head of a pull request in its own repository.
func (k Kind) Ref(pull int64) string {
	if k == GitLab {
		return fmt.Sprintf("refs/merge-requests/%d/head", pull)
	}
	return fmt.Sprintf("refs/pull/%d/head", pull)
}

// PullOf is the number of the pull request whose head a ref shows; ok is false for
// other refs.
func (k Kind) PullOf(ref string) (pull int64, ok bool) {
	before, after, _ := strings.Cut(k.Ref(0), "/0/")
	number, head, _ := strings.Cut(strings.TrimPrefix(ref, before+"/"), "/")
	pull, err := strconv.ParseInt(number, 10, 64)
	return pull, err == nil && head == after && k.Ref(pull) == ref
}

// A Credential opens one repository for fetching. Close gives it back; the forge
// takes it from nobody after that.
//
// No way of printing shows the password: none looks into a function, while of what is
// hidden in another struct fmt calls no methods.
type Credential struct {
	User     string
	Close    func(ctx context.Context) error
	password func() string
}

// NewCredential makes one.
func NewCredential(user, password string, end func(ctx context.Context) error) Credential {
	return Credential{User: user, Close: end, password: func() string { return password }}
}

// Password goes to where the credential is used and nowhere else. It is "" if there
// is none.
func (c Credential) Password() string {
	if c.password == nil {
		return ""
	}
	return c.password()
}

// Errors of forges that a caller acts on. They are looked for with errors.Is.
var (
	// ErrGone means that the forge does not have it, or does not show it to us.
	ErrGone = errors.New("the forge does not have it")
	// ErrForbidden means that a permission is missing: somebody has to grant it.
	ErrForbidden = errors.New("the forge does not permit it")
	// ErrInvalid means that the forge will never take a request as it is.
	ErrInvalid = errors.New("the forge refuses the request")
)

// A LimitError means that the forge takes no requests of ours for now: going on is
// a way to be banned.
type LimitError struct {
	Until time.Time // when it may be tried again
	Err   error
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("limited by the forge until %s: %v", e.Until.UTC().Format(time.RFC3339), e.Err)
}

func (e *LimitError) Unwrap() error { return e.Err }
