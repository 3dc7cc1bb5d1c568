package build

import (
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Change is what a ledger records in one durable batch: moves of one build and
// what belongs to them. It is either there as a whole or not at all.
type Change struct {
	Build *Build     // the state after Moves; nil if only Settled and Tips count
	Moves []Move     // new since the last change of this build
	Plan  *plan.Plan // with the build's first change, if a plan was drawn
	Logs  []LogFile  // of attempts that Moves end

	// Settled are the ids of triggers that have now been answered: they leave the
	// inbox in the same batch.
	Settled []string
	// Tips are the refs whose new commit has been dealt with; a zero commit
	// forgets the ref.
	Tips map[string]plan.Commit
	// Marks replace those recorded before; nil leaves them.
	Marks []Mark
}

// A Mark says up to when a schedule was dealt with: what is due later has not been
// built. A schedule is known by its pipeline and by what is written there.
type Mark struct {
	Pipeline string
	Cron     string
	Zone     string // name of the time zone; "" is UTC
	Until    time.Time
}

// A LogFile is the log of one attempt on the local disk, with the file that
// holds a time for each of its lines. Both are read while the change is recorded.
type LogFile struct {
	Task    string // key
	Attempt int
	Text    string // path; "" if the log is empty
	Times   string // path; "" if there are none
}
