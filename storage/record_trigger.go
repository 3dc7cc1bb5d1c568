package storage

import (
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A triggerRecord is what an inbox ref points to: the trigger's own JSON with a
// version.
type triggerRecord struct {
	Version int `json:"version"`
	plan.Trigger
}

// NewTriggerID makes the id of a trigger: the time to the microsecond, so that
// an inbox lists in the order of arrival, and what makes it unique.
func NewTriggerID(now time.Time, random uint64) string {
	return fmt.Sprintf("%s-%016x", now.UTC().Format("20060102T150405.000000"), random)
}

// maxTriggerID bounds an id, which becomes a file name.
const maxTriggerID = 100

// validTriggerID accepts what can be the last component of a ref.
func validTriggerID(id string) bool {
	for i, c := range id {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && i < len(id)-1 && (c == '-' || c == '_' || c == '.' && id[i-1] != '.'):
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxTriggerID
}

func encodeTrigger(t plan.Trigger) ([]byte, error) {
	return encode("inbox record", triggerRecord{Version: recordVersion, Trigger: storedTrigger(t)})
}

// decodeTrigger reads what encodeTrigger printed; id is the name it was found by.
func decodeTrigger(id string, data []byte) (plan.Trigger, error) {
	var r triggerRecord
	if err := decode("inbox record", data, &r); err != nil {
		return plan.Trigger{}, err
	}
	if r.ID != id {
		return plan.Trigger{}, fmt.Errorf("decode inbox record: it says that it is %q", r.ID)
	}
	t, err := loadedTrigger(r.Trigger)
	if err != nil {
		return plan.Trigger{}, fmt.Errorf("decode inbox record: %w", err)
	}
	return t, nil
}

// storedTrigger is t as it comes back from where it is stored.
func storedTrigger(t plan.Trigger) plan.Trigger {
	t.Received = normal(t.Received)
	if len(t.Parameters) == 0 {
		t.Parameters = nil
	}
	return t
}

// loadedTrigger checks what JSON alone cannot: commits become arguments of git.
func loadedTrigger(t plan.Trigger) (plan.Trigger, error) {
	if err := checkYear(t.Received); err != nil {
		return t, fmt.Errorf("received: %w", err)
	}
	return storedTrigger(t), checkCommits(t.Commit, t.Before)
}

// checkCommits accepts commits that are there or not, but nothing else.
func checkCommits(commits ...plan.Commit) error {
	for _, c := range commits {
		if c == "" {
			continue
		}
		if _, err := plan.ParseCommit(string(c)); err != nil {
			return err
		}
	}
	return nil
}
