package storage

import (
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// An approvalRecord says who let a held build start, and what they looked at.
type approvalRecord struct {
	Commit plan.Commit `json:"commit"`
	Plan   string      `json:"plan"`
	By     string      `json:"by"`
	At     instant     `json:"at"`
}

func storedApproval(a *build.Approval) *approvalRecord {
	if a == nil {
		return nil
	}
	return &approvalRecord{Commit: a.Commit, Plan: a.Digest, By: a.By, At: stored(a.At)}
}

func (r *approvalRecord) approval() (*build.Approval, error) {
	if r == nil {
		return nil, nil
	}
	if err := checkCommits(r.Commit); err != nil {
		return nil, fmt.Errorf("approval: %w", err)
	}
	return &build.Approval{Commit: r.Commit, Digest: r.Plan, By: r.By, At: r.At.time()}, nil
}
