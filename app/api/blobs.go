package api

import "time"

// Paths of artifacts and caches, for attempts under way: each asks with its own
// credential, as the user "attempt", and has what its assignment says.
const (
	PathPacks      = "/blobs/packs/"     // PUT {sha256}: content, of which a record follows
	PathKept       = "/blobs/artifacts"  // PUT Kept
	PathNeeded     = "/blobs/artifacts/" // GET {n} → content: what the nth of the assignment's needs kept; 204 if that is no file
	PathKeptCaches = "/blobs/caches/"    // GET {name} → content; PUT {name} Kept
)

// HeaderSum says what content must add up to: its SHA-256, in hex.
const HeaderSum = "Velocity-Sha256"

// Kept records content that was put.
type Kept struct {
	SHA256 string     `json:"sha256,omitempty"` // of the pack; "" if there are no files
	Size   int64      `json:"size"`             // of it, in bytes
	Files  []Artifact `json:"files,omitempty"`  // of artifacts
}

// An Artifact is a file that a task kept.
type Artifact struct {
	Name   string `json:"name"` // path in the workspace, with slashes
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Artifacts are what one task of a build kept and still has.
type Artifacts struct {
	Task    string     `json:"task"` // key
	Name    string     `json:"name"` // of the task
	Attempt int        `json:"attempt"`
	Created time.Time  `json:"created"`
	Packed  int64      `json:"packed"` // bytes, as it is kept
	Files   []Artifact `json:"files"`
}
