package storage

import (
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// rulesRecord is what a plan says about how a task moves.
type rulesRecord struct {
	MayFail  bool       `json:"ignoreErrors,omitempty"`
	Skip     bool       `json:"skip,omitempty"`
	Effects  bool       `json:"effects,omitempty"`
	Retry    plan.Retry `json:"retry,omitzero"`
	ReuseKey string     `json:"reuseKey,omitempty"`
}

// What a task leaves behind, in build.json and events.jsonl. Fields stand in the
// order of those of architect/build: one is converted into the other.

type imageRecord struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

type testsRecord struct {
	Passed  int `json:"passed,omitempty"`
	Failed  int `json:"failed,omitempty"`
	Skipped int `json:"skipped,omitempty"`
	Flaky   int `json:"flaky,omitempty"`
}

type findingRecord struct {
	Kind    string `json:"kind"`
	Name    string `json:"name,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Level   string `json:"level"`
	Message string `json:"message,omitempty"`
	Flaky   bool   `json:"flaky,omitempty"`
}

type artifactRecord struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

type originRecord struct {
	Build build.ID `json:"build"`
	Task  string   `json:"task"`
}

type retriedRecord struct {
	Attempt int       `json:"attempt"`
	Builder string    `json:"builder,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Started instant   `json:"started,omitzero"`
	Ended   instant   `json:"ended"`
	Log     logRecord `json:"log,omitzero"`
	Failing []string  `json:"failing,omitempty"`
}

func storedImages(all []build.Image) (records []imageRecord) {
	for _, i := range all {
		records = append(records, imageRecord(i))
	}
	return records
}

func loadedImages(records []imageRecord) (all []build.Image) {
	for _, r := range records {
		all = append(all, build.Image(r))
	}
	return all
}

func storedFindings(all []build.Finding) (records []findingRecord) {
	for _, f := range all {
		records = append(records, findingRecord(f))
	}
	return records
}

func loadedFindings(records []findingRecord) (all []build.Finding) {
	for _, r := range records {
		all = append(all, build.Finding(r))
	}
	return all
}

func storedArtifacts(all []build.Artifact) (records []artifactRecord) {
	for _, a := range all {
		records = append(records, artifactRecord(a))
	}
	return records
}

// loadedArtifacts refuses what becomes the name of a file elsewhere.
func loadedArtifacts(records []artifactRecord) (all []build.Artifact, err error) {
	for _, r := range records {
		if !validSum(r.SHA256) || r.Size < 0 {
			return nil, fmt.Errorf("artifact %.80q of %d bytes has the sum %.80q, which is none", r.Name, r.Size, r.SHA256)
		}
		all = append(all, build.Artifact(r))
	}
	return all, nil
}

// validSum accepts a SHA-256 as it is written here: 64 lower-case hex digits.
func validSum(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}

func storedRetried(all []build.Retried) (records []retriedRecord) {
	for _, r := range all {
		records = append(records, retriedRecord{
			Attempt: r.Attempt, Builder: r.Builder, Reason: r.Reason,
			Started: stored(r.Started), Ended: stored(r.Ended), Log: logRecord(r.Log), Failing: r.Failing,
		})
	}
	return records
}

func loadedRetried(records []retriedRecord) (all []build.Retried) {
	for _, r := range records {
		all = append(all, build.Retried{
			Attempt: r.Attempt, Builder: r.Builder, Reason: r.Reason,
			Started: r.Started.time(), Ended: r.Ended.time(), Log: build.Log(r.Log), Failing: r.Failing,
		})
	}
	return all
}
