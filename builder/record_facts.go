package builder

import (
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// What an attempt leaves behind, in its record. Fields stand in the order of
// those of architect/build: one is converted into the other.

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

// facts puts into the record what the attempt left behind.
func (r *record) facts(of dispatch.Result) {
	r.Tests = testsRecord(of.Tests)
	for _, f := range of.Findings {
		r.Findings = append(r.Findings, findingRecord(f))
	}
	for _, a := range of.Artifacts {
		r.Artifacts = append(r.Artifacts, artifactRecord(a))
	}
}

// tell is the reverse of facts.
func (r *record) tell(to *dispatch.Result) {
	to.Tests = build.Tests(r.Tests)
	for _, f := range r.Findings {
		to.Findings = append(to.Findings, build.Finding(f))
	}
	for _, a := range r.Artifacts {
		to.Artifacts = append(to.Artifacts, build.Artifact(a))
	}
}

func imageRecords(images []build.Image) (records []imageRecord) {
	for _, i := range images {
		records = append(records, imageRecord(i))
	}
	return records
}

func imagesOf(records []imageRecord) (images []build.Image) {
	for _, r := range records {
		images = append(images, build.Image(r))
	}
	return images
}

// checkFacts refuses more than an attempt may leave behind, and sums that are none.
func (r *record) checkFacts() error {
	if len(r.Findings) > build.MaxFindings || len(r.Artifacts) > build.MaxArtifacts {
		return fmt.Errorf("%d findings and %d artifacts are more than is kept", len(r.Findings), len(r.Artifacts))
	}
	for _, a := range r.Artifacts {
		if !isSum(a.SHA256) || a.Size < 0 {
			return fmt.Errorf("artifact %.80q of %d bytes with sum %.80q", a.Name, a.Size, a.SHA256)
		}
	}
	return nil
}
