// Package api holds the forms in which the architect's API speaks: what app/web
// sends and app/client reads. Builds are sent in the form in which they are
// stored (docs/format.md).
package api

import "encoding/json"

// Paths of the API, below the server's address.
const (
	PathWake    = "/api/v1/wake"      // POST: look into the inbox now
	PathStart   = "/api/v1/start"     // POST Start → Accepted
	PathRerun   = "/api/v1/rerun"     // POST Act → Accepted
	PathCancel  = "/api/v1/cancel"    // POST Act
	PathTrigger = "/api/v1/triggers/" // GET {id}/follow → a stream of Update
	PathBuild   = "/api/v1/builds/"   // GET {id}/follow → a stream of Update
)

// A Start asks for a build by name.
type Start struct {
	Name       string            `json:"name,omitempty"` // pipeline or blueprint; "" is the default pipeline
	Ref        string            `json:"ref,omitempty"`  // branch, tag, full ref or commit; "" is HEAD
	Parameters map[string]string `json:"parameters,omitempty"`
	Actor      string            `json:"actor,omitempty"`
}

// An Act is about one build: its id, number or commit.
type Act struct {
	Build  string `json:"build"`
	Reason string `json:"reason,omitempty"`
	Actor  string `json:"actor,omitempty"`
}

// Accepted means that a trigger is durable: it will be answered.
type Accepted struct {
	Trigger string `json:"trigger"`
}

// A Problem is what every error answer holds.
type Problem struct {
	Message string `json:"message"`
}

// An Update is one line of a stream: exactly one of its fields is set.
type Update struct {
	Answer *Answer         `json:"answer,omitempty"`
	Build  json.RawMessage `json:"build,omitempty"` // a build as it now stands
	Log    *Log            `json:"log,omitempty"`
	Over   string          `json:"over,omitempty"` // id of a build that is final and in the archive
	End    bool            `json:"end,omitempty"`  // nothing follows
}

// An Answer is what became of a trigger.
type Answer struct {
	Builds []string `json:"builds,omitempty"`
	Note   string   `json:"note,omitempty"`
}

// A Log is a piece of an attempt's log.
type Log struct {
	Build   string `json:"build"`
	Task    string `json:"task"`
	Attempt int    `json:"attempt"`
	Offset  int64  `json:"offset"`
	Data    []byte `json:"data"`
}
