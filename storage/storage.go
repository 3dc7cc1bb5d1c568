// Package storage is the ledger: it keeps builds, accepted triggers and what the
// architect must remember in a repository's own refs and notes, and reads them
// back. docs/format.md says what the refs hold.
//
// A Store reads, and takes triggers in; any number of processes may do both at
// the same time. A Ledger records; a lock on the repository makes sure that there
// is one. What either has acknowledged survives the death of the process and of
// the machine: an acknowledgement is given when the ref is durable, and a ref is
// moved when all it reaches is.
//
// What moves are legal is for architect/build to say, and how objects and refs
// get to the disk for storage/git.
package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// NotesRef holds a line per finished build, by commit.
const NotesRef = "refs/notes/velocity"

// RefPrefix is before all other refs of ours.
const RefPrefix = "refs/velocity/"

var (
	// ErrNoBuild means that no build of that id, number or commit is stored here.
	ErrNoBuild = errors.New("no such build")
	// ErrNoLog means that an attempt left no log here.
	ErrNoLog = errors.New("no such log")
)

// A Store reads what is stored in a repository and takes triggers in. It is safe
// for concurrent use.
type Store struct {
	repo *git.Repository
	now  func() time.Time

	mu sync.Mutex
	id string // the own store's; "" until it is known

	decoded   decoded
	successes successes
	seamsRead seamsRead
}

// Open is a store in repo. It reads nothing yet and writes nothing: a store's id
// is made when something is first written.
func Open(repo *git.Repository, now func() time.Time) *Store {
	return &Store{repo: repo, now: now}
}

// Loaded is a build that is not in the archive yet.
type Loaded struct {
	Build *build.Build
	Plan  *plan.Plan // nil if none could be drawn
}

// Known is what tells a build of a commit from the others.
type Known struct {
	ID      build.ID
	Name    string
	Trigger plan.Trigger
	Config  plan.Commit // where the configuration was read
	Void    bool        // as build.Build says
}

// folder is the folder of files that are ours and not git's.
func (s *Store) folder() string { return filepath.Join(s.repo.CommonDir(), "velocity") }

// The names of refs and of places in trees. Builds lie in blocks by their
// number, so that no folder of refs or of a tree grows without bounds.

func storeRef(store, name string) string { return RefPrefix + store + "/" + name }

func liveRef(id build.ID) string { return storeRef(id.Store, "live/"+digits(id.Number)) }

func archiveRef(id build.ID) string { return storeRef(id.Store, archiveBlockOf(id)) }

func logsRef(id build.ID) string { return storeRef(id.Store, logsBlockOf(id)) }

// Blocks are named alike in every copy of a store.

func archiveBlockOf(id build.ID) string {
	return fmt.Sprintf("%s%04d", archiveFolder, id.Number/archiveBlock)
}

func logsBlockOf(id build.ID) string {
	return fmt.Sprintf("%s%05d", logsRefFolder, id.Number/logsBlock)
}

const (
	archiveFolder = "archive/"
	logsRefFolder = "logs/"
)

const (
	archiveBlock = 10_000
	logsBlock    = 1_000
)

// place is where a build lies in the tree of its archive and of its logs.
func place(id build.ID) string {
	return fmt.Sprintf("%02d/%s", id.Number/100%100, digits(id.Number))
}

func digits(n int64) string { return fmt.Sprintf("%010d", n) }

// parseDigits is the reverse of digits.
func parseDigits(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && digits(n) == s
}

// lastOf is the last component of a ref's name.
func lastOf(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
