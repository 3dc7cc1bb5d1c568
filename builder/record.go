package builder

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// recordVersion stands in every record; others are not read.
const recordVersion = 1

// maxRecord bounds a record, in bytes: the steps of a plan's largest task, each
// with the longest reason, stay below.
const maxRecord = 4 << 20

// A record is the form in which an attempt's result is kept beside its log. One
// without a verdict is of an attempt that was under way.
type record struct {
	Version int          `json:"version"`
	Build   string       `json:"build"`
	Task    string       `json:"task"` // key
	Attempt int          `json:"attempt"`
	Ended   time.Time    `json:"ended,omitzero"`
	Verdict string       `json:"verdict,omitempty"`
	Reason  string       `json:"reason,omitempty"` // masked
	Steps   []stepRecord `json:"steps,omitempty"`
	Bytes   int64        `json:"bytes,omitempty"` // of the log
	Lines   int          `json:"lines,omitempty"`
	SHA256  string       `json:"sha256,omitempty"`
	Times   int64        `json:"times,omitempty"` // bytes of the log's times

	Tests     testsRecord      `json:"tests,omitzero"`
	Findings  []findingRecord  `json:"findings,omitempty"`
	Artifacts []artifactRecord `json:"artifacts,omitempty"`
}

type stepRecord struct {
	Type     string        `json:"type"`
	Name     string        `json:"name,omitempty"`
	State    string        `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	Exit     int           `json:"exit,omitempty"`
	Image    string        `json:"image,omitempty"`
	Images   []imageRecord `json:"images,omitempty"`
	Started  time.Time     `json:"started,omitzero"`
	Finished time.Time     `json:"finished,omitzero"`
	From     int64         `json:"from,omitempty"`
	To       int64         `json:"to,omitempty"`
}

// encodeRecord is the record of a result and of when the attempt ended; both are
// zero but for r.Attempt while it is under way.
func encodeRecord(r dispatch.Result, ended time.Time) ([]byte, error) {
	rec := record{
		Version: recordVersion, Build: r.Attempt.Build.String(), Task: r.Attempt.Task, Attempt: r.Attempt.Number,
		Ended: ended.UTC(), Verdict: string(r.Verdict), Reason: r.Reason,
		Bytes: r.Log.Bytes, Lines: r.Log.Lines, SHA256: r.Log.SHA256, Times: r.Times,
	}
	for _, s := range r.Steps {
		rec.Steps = append(rec.Steps, stepRecord{
			Type: string(s.Type), Name: s.Name, State: string(s.State), Reason: s.Reason, Exit: s.Exit, Image: s.Image,
			Images: imageRecords(s.Images), Started: s.Started.UTC(), Finished: s.Finished.UTC(), From: s.From, To: s.To,
		})
	}
	rec.facts(r)
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode record of %s: %w", r.Attempt, err)
	}
	return data, nil
}

// decodeRecord reads what encodeRecord wrote. A record that says what no attempt
// can have done is an error.
func decodeRecord(data []byte) (dispatch.Result, time.Time, error) {
	var rec record
	if len(data) > maxRecord {
		return dispatch.Result{}, time.Time{}, fmt.Errorf("decode record: %d bytes, more than any record has", len(data))
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return dispatch.Result{}, time.Time{}, fmt.Errorf("decode record: %w", err)
	}
	if rec.Version != recordVersion {
		return dispatch.Result{}, time.Time{}, fmt.Errorf("decode record: version %d is not known here (this program writes %d)", rec.Version, recordVersion)
	}
	id, err := build.ParseID(rec.Build)
	if err == nil {
		err = rec.check()
	}
	if err != nil {
		return dispatch.Result{}, time.Time{}, fmt.Errorf("decode record: %w", err)
	}
	r := dispatch.Result{
		Attempt: dispatch.Attempt{Build: id, Task: rec.Task, Number: rec.Attempt},
		Verdict: dispatch.Verdict(rec.Verdict), Reason: rec.Reason,
		Log:   build.Log{Bytes: rec.Bytes, Lines: rec.Lines, SHA256: rec.SHA256},
		Times: rec.Times,
	}
	for _, s := range rec.Steps {
		r.Steps = append(r.Steps, build.Step{
			Type: plan.StepType(s.Type), Name: s.Name, State: build.State(s.State), Reason: s.Reason, Exit: s.Exit,
			Image: s.Image, Images: imagesOf(s.Images), Started: s.Started, Finished: s.Finished, From: s.From, To: s.To,
		})
	}
	rec.tell(&r)
	return r, rec.Ended, nil
}

func (r *record) check() error {
	if _, _, err := plan.ParseKey(r.Task); err != nil {
		return err
	}
	switch dispatch.Verdict(r.Verdict) {
	case "", dispatch.Succeeded, dispatch.Failed, dispatch.Interrupted:
	default:
		return fmt.Errorf("verdict %.40q is not known", r.Verdict)
	}
	if r.Attempt < 1 || r.Bytes < 0 || r.Lines < 0 || r.Times < 0 {
		return errors.New("a number is out of range")
	}
	if (r.Verdict == "") != r.Ended.IsZero() || !writable(r.Ended) {
		return errors.New("a verdict and an end go together")
	}
	if r.SHA256 != "" && !isSum(r.SHA256) {
		return fmt.Errorf("sha256 %.80q is none", r.SHA256)
	}
	if err := r.checkFacts(); err != nil {
		return err
	}
	for i, s := range r.Steps {
		if s.From < 0 || s.To < 0 || s.From > r.Bytes || s.To > r.Bytes {
			return fmt.Errorf("step %d is outside the log", i)
		}
		if !writable(s.Started) || !writable(s.Finished) {
			return fmt.Errorf("step %d has a time that no clock shows", i)
		}
	}
	return nil
}

// isSum reports whether s is a SHA-256 in hex.
func isSum(s string) bool {
	sum, err := hex.DecodeString(s)
	return err == nil && len(sum) == 32
}

// writable reports whether a time can be written again: RFC 3339 has four digits
// for the year.
func writable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}
