// Package plan holds the words of intent: where the source is, what asked for a
// build, and the construction plan that answers it. It imports nothing of ours
// and does no I/O; every other package speaks in these words.
//
// A plan is drawn once and then only read. The same inputs give a byte-identical
// plan, so whatever differs from build to build (the build's number, secrets,
// values an executable derives) stays in it as a reference and is resolved on
// the builder, in the task's setup.
package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Version is the version of the plan's JSON form, described in docs/format.md.
const Version = 1

// MaxTasks bounds a plan, so that a small file cannot ask for endless work.
const MaxTasks = 2000

// A Kind tells what a plan was drawn from.
type Kind string

// The kinds of plans.
const (
	OfPipeline  Kind = "pipeline"
	OfBlueprint Kind = "blueprint" // one blueprint asked for by its name: one stage, one task
)

// A Plan is a construction plan: stages of tasks, in order, for one commit.
type Plan struct {
	Version      int    `json:"version"`
	Kind         Kind   `json:"kind"`
	Name         string `json:"name"` // the pipeline's or blueprint's
	Description  string `json:"description,omitempty"`
	Event        Event  `json:"event"`
	Ref          string `json:"ref,omitempty"`
	Commit       Commit `json:"commit"`
	ConfigCommit Commit `json:"configCommit"` // where the configuration was read

	// Git holds the built-in parameters about the commit (git.branch, …), which
	// every step finds in its environment under EnvName. The costly ones
	// (git.describe) are there only if something mentions them.
	Git map[string]string `json:"git,omitempty"`

	// Base is the commit that path filters and changed() compared Commit with: the
	// merge base of a pull request, the last green ancestor of a push. It is zero
	// when nothing asked, or when there is none: then everything has changed.
	Base Commit `json:"base,omitempty"`

	Concurrency Concurrency `json:"concurrency,omitzero"`

	// Checks is what a forge shows as a check of its own.
	Checks Checks `json:"checks,omitempty"`

	// Plugins are those of the root file, in its order.
	Plugins []Plugin `json:"plugins,omitempty"`

	Stages []Stage `json:"stages"`
}

// Concurrency says which builds of a repository run one after the other.
type Concurrency struct {
	Group            string `json:"group"`
	CancelInProgress bool   `json:"cancelInProgress,omitempty"` // earlier ones of the group end when this one comes
}

// A Stage is a set of tasks that may run at the same time.
type Stage struct {
	Name  string `json:"name"`
	Tasks []Task `json:"tasks"`
}

// Encode prints the plan as indented JSON with a final newline. Equal plans give
// equal bytes: the digest is taken over them.
func (p *Plan) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(p); err != nil {
		return nil, fmt.Errorf("encode plan %s: %w", p.Name, err)
	}
	return b.Bytes(), nil
}

// Decode reads what Encode printed and refuses versions it does not know.
func Decode(data []byte) (*Plan, error) {
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if p.Version != Version {
		return nil, fmt.Errorf("decode plan: version %d is not known here (this program reads %d): use a newer velocity", p.Version, Version)
	}
	return &p, nil
}

// Digest is the plan's id: the SHA-256 of its encoded form, in hex.
func (p *Plan) Digest() (string, error) {
	data, err := p.Encode()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
