// Package api holds the forms in which the architect's API speaks: what app/web
// sends and app/client reads. Builds are sent in the form in which they are
// stored (docs/format.md).
package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Path is before all paths of the API, below the server's address.
const Path = "/api/v1/"

// Paths of the API, below the server's address.
const (
	PathWake    = "/api/v1/wake"      // POST: look into the inbox now
	PathStart   = "/api/v1/start"     // POST Start → Accepted
	PathRerun   = "/api/v1/rerun"     // POST Act → Accepted
	PathCancel  = "/api/v1/cancel"    // POST Act
	PathApprove = "/api/v1/approve"   // POST Approval → Approval: as it was recorded
	PathTrigger = "/api/v1/triggers/" // GET {id}/follow → a stream of Update
	PathBuild   = "/api/v1/builds/"   // GET {id} → a build; {id}/follow → a stream of Update; {id}/logs/{task}; {id}/logs/{task}/times → []Mark; {id}/why; {id}/artifacts

	PathRepositories  = "/api/v1/repositories"      // GET → []string
	PathBuilds        = "/api/v1/builds"            // GET → []build, by the fields of Query
	PathBuilders      = "/api/v1/builders"          // GET → []Builder; POST /{name}/drain, resume, revoke
	PathRegister      = "/api/v1/builders/register" // POST Register → Registered
	PathRegistrations = "/api/v1/registrations"     // POST Leave → Minted
	PathTokens        = "/api/v1/tokens"            // GET → []Token; POST Token → Issued; DELETE /{id}
	PathSecrets       = "/api/v1/secrets"           // GET → []Secret; POST SetSecret → Secret; DELETE /{name}, by ParamOf
	PathRotate        = "/api/v1/secrets/rotate"    // POST Act → Rotated
	PathRetention     = "/api/v1/retention"         // GET → Retention: what the server would drop now
	PathSelf          = "/api/v1/self"              // GET → Token: whose the token of the request is
	PathDescription   = "/api/v1/openapi.json"      // GET → all of this, in OpenAPI
)

// Parameters of paths about builds.
const (
	ParamRepository = "repository" // which one; not needed where the asker sees one only, nor with a build's id
	ParamBuild      = "build"      // of POSTs: the build that the body is about
	ParamAttempt    = "attempt"    // of logs; the newest if absent
	ParamOf         = "of"         // of secrets: the repository that has it; the whole site if absent
)

// A Start asks for a build by name.
type Start struct {
	Name       string            `json:"name,omitempty"` // pipeline or blueprint; "" is the default pipeline
	Ref        string            `json:"ref,omitempty"`  // branch, tag, full ref or commit; "" is HEAD
	Parameters map[string]string `json:"parameters,omitempty"`
	NoReuse    bool              `json:"noReuse,omitempty"` // build also what an earlier success could stand in for
	Actor      string            `json:"actor,omitempty"`
}

// An Act is about one build: its id, number or commit.
type Act struct {
	Build  string `json:"build,omitempty"`  // not of one about a builder
	Failed bool   `json:"failed,omitempty"` // of a rerun: keep what succeeded
	Reason string `json:"reason,omitempty"`
	Actor  string `json:"actor,omitempty"`
}

// An Approval lets a build start that waits for one, if it is of this commit and
// plan.
type Approval struct {
	Build  string `json:"build"`
	Commit string `json:"commit"`
	Plan   string `json:"plan"` // digest
	By     string `json:"by"`
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

// A Mark says when a piece of a log came: what stands from the offset on, as far as
// that of the next mark, came so many milliseconds after the log began.
type Mark struct {
	Offset int64 `json:"offset"` // bytes
	Millis int64 `json:"millis"`
}

// A Query selects builds, as the flags of velocity builds do. Zero fields select
// all.
type Query struct {
	Ref, Commit, Name, Author, Task, State string
	Since, Until, Before                   string
	Limit                                  string
}

// fields are the query's parameters in a URL.
func (q *Query) fields() map[string]*string {
	return map[string]*string{
		"ref": &q.Ref, "commit": &q.Commit, "name": &q.Name, "author": &q.Author, "task": &q.Task, "state": &q.State,
		"since": &q.Since, "until": &q.Until, "before": &q.Before, "limit": &q.Limit,
	}
}

// Values is the query as parameters of a URL.
func (q Query) Values() url.Values {
	v := url.Values{}
	for name, field := range q.fields() {
		if *field != "" {
			v.Set(name, *field)
		}
	}
	return v
}

// ParseQuery reads what Values made. Other parameters than its own and the
// repository's are an error: a misspelt one would select too much.
func ParseQuery(v url.Values) (q Query, err error) {
	fields := q.fields()
	for name := range v {
		field, ok := fields[name]
		switch {
		case ok:
			*field = v.Get(name)
		case name != ParamRepository:
			return q, fmt.Errorf("there is no parameter %q", name)
		}
	}
	return q, nil
}

// A Reason says why a task is not over.
type Reason struct {
	Task  string `json:"task"` // key
	Name  string `json:"name"`
	State string `json:"state"`
	Why   string `json:"why"`
}

// A Register asks to enter a builder.
type Register struct {
	Token     string            `json:"token"`
	Name      string            `json:"name"`
	Public    string            `json:"public"` // nkey
	Curve     string            `json:"curve"`  // curve key
	Labels    map[string]string `json:"labels,omitempty"`
	Executors []string          `json:"executors,omitempty"`
	Version   string            `json:"version,omitempty"`
}

// Registered is what a builder needs to know of its architect.
type Registered struct {
	Name      string `json:"name"`
	Architect string `json:"architect"` // public key of the signatures under assignments
	NATS      string `json:"nats"`      // where to connect: a path of this server, or URLs with commas between them
	// Authorities of the certificates there, in PEM; "" for those that the builder's
	// machine knows.
	Authorities string `json:"authorities,omitempty"`
}

// A Builder is one that is registered.
type Builder struct {
	Name       string            `json:"name"`
	Public     string            `json:"public"`
	Labels     map[string]string `json:"labels,omitempty"`
	Executors  []string          `json:"executors,omitempty"`
	Version    string            `json:"version,omitempty"`
	Untrusted  bool              `json:"untrusted,omitempty"`
	Drained    bool              `json:"drained,omitempty"`
	Revoked    bool              `json:"revoked,omitempty"`
	Registered time.Time         `json:"registered"`
	Connection *Connection       `json:"connection,omitempty"`
}

// A Connection is a builder that is there now.
type Connection struct {
	Since    time.Time `json:"since"` // it is there
	Heard    time.Time `json:"heard"`
	Capacity int       `json:"capacity"`
	Busy     int       `json:"busy"`
	Reason   string    `json:"reason,omitempty"` // why it takes nothing new
}

// Turned tells what a change to a builder still takes.
type Turned struct {
	Reload bool `json:"reload,omitempty"` // the NATS cluster's nodes have to reload
}

// A Leave is what a registration token allows.
type Leave struct {
	Name      string            `json:"name,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Untrusted bool              `json:"untrusted,omitempty"`
	Seconds   int64             `json:"seconds"` // how long it is good for
}

// Minted is a registration token, told once.
type Minted struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// A Token is somebody's leave to ask.
type Token struct {
	ID           string    `json:"id,omitempty"`
	Name         string    `json:"name"`
	Rights       string    `json:"rights"`
	Repositories []string  `json:"repositories,omitempty"` // as they are called now, or their keys
	Of           []Bound   `json:"of,omitempty"`           // the same, in answers
	Created      time.Time `json:"created,omitzero"`
	Expires      time.Time `json:"expires,omitzero"`
	By           string    `json:"by,omitempty"`
}

// Issued is an API token, told once.
type Issued struct {
	Secret string `json:"secret"`
	Token
}
