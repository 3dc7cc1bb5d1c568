package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A ToldState is how far a check was that a forge was told of. States only go up.
type ToldState int

// The states of reports, in their order.
const (
	ToldQueued ToldState = iota
	ToldRunning
	ToldFinal
)

// reportStates are the states as they are stored.
var reportStates = []string{ToldQueued: "queued", ToldRunning: "running", ToldFinal: "final"}

// Told is what a forge was told last of one check on one commit. The zero value
// is a check that it was never told of.
type Told struct {
	External    string // whose check it was: a build's id, perhaps with "/" and a task's key
	ID          int64  // the forge's number of it; 0 for none
	State       ToldState
	Digest      string // of everything that was shown
	Annotations int    // how many were sent
	Done        bool   // there is nothing more to say
	At          time.Time
}

// over reports whether nothing was to be said for so long that nobody asks any more.
func (r *Told) over(now time.Time) bool {
	return r.State == ToldFinal && r.Done && r.At.Before(now.Add(-keepReports))
}

// of reports whether it is about a build.
func (r *Told) of(id build.ID) bool {
	text := id.String()
	return r.External == text || len(r.External) > len(text) && r.External[:len(text)+1] == text+"/"
}

const (
	// reportsFolder is the desk's folder of reports, a file each.
	reportsFolder = "reports"
	// reportFile names the record in messages and docs.
	reportFile = "report"
	// maxReport bounds one record, in bytes.
	maxReport = 64 << 10
	// keepReports is how long a report is kept that is over.
	keepReports = 14 * 24 * time.Hour
)

// A reportKey is a check for ever.
type reportKey struct {
	commit plan.Commit
	name   string
}

// shelf is the folder of all reports whose commit begins with the same two digits.
func shelf(digits string) string { return reportsFolder + "/" + digits }

// path is that of the report of a check: names of checks may be anything.
func (k reportKey) path() string {
	sum := sha256.Sum256([]byte(k.name))
	return shelf(string(k.commit[:2])) + "/" + string(k.commit[2:]) + "/" + hex.EncodeToString(sum[:16]) + ".json"
}

func (k reportKey) check() error {
	if _, err := plan.ParseCommit(string(k.commit)); err != nil {
		return fmt.Errorf("report of check %.80q: %w", k.name, err)
	}
	return nil
}

type reportRecord struct {
	Version     int         `json:"version"`
	Commit      plan.Commit `json:"commit"`
	Name        string      `json:"name"`
	External    string      `json:"external,omitempty"`
	ID          int64       `json:"id,omitempty"`
	State       string      `json:"state"`
	Digest      string      `json:"digest,omitempty"`
	Annotations int         `json:"annotations,omitempty"`
	Done        bool        `json:"done,omitempty"`
	At          instant     `json:"at,omitzero"`
}

func encodeReport(k reportKey, r Told) ([]byte, error) {
	if r.State < ToldQueued || r.State > ToldFinal {
		return nil, fmt.Errorf("encode %s: there is no state %d", reportFile, r.State)
	}
	return encode(reportFile, reportRecord{
		recordVersion, k.commit, k.name, r.External, r.ID, reportStates[r.State], r.Digest, r.Annotations, r.Done, stored(r.At),
	})
}

func decodeReport(data []byte) (reportKey, Told, error) {
	var r reportRecord
	if err := decode(reportFile, data, &r); err != nil {
		return reportKey{}, Told{}, err
	}
	k := reportKey{r.Commit, r.Name}
	if err := k.check(); err != nil {
		return reportKey{}, Told{}, fmt.Errorf("decode %s: %w", reportFile, err)
	}
	for state, word := range reportStates {
		if word == r.State {
			return k, Told{r.External, r.ID, ToldState(state), r.Digest, r.Annotations, r.Done, r.At.time()}, nil
		}
	}
	return reportKey{}, Told{}, fmt.Errorf("decode %s: %.40q is no state", reportFile, r.State)
}
