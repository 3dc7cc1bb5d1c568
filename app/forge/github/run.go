package github

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// What GitHub takes, in bytes where it says characters: what fits that way fits both
// ways.
const (
	maxOutput     = 65535 // of a summary, and of a text
	maxTitle      = 255
	maxMessageOf  = 64_000 // of an annotation, and of its details
	maxLabel      = 20
	maxPurpose    = 40 // of a button
	maxIdentifier = 20
	maxActions    = 3
	perRequest    = 50 // annotations
)

// run is a check run as it is sent, to create one or to change it. It has what
// go-github's forms lack: the start in a change, and ways to take a text or a button
// away again, as what is left out of a change stays.
type run struct {
	Name       string     `json:"name"`
	HeadSHA    string     `json:"head_sha,omitempty"` // to create it only
	Details    string     `json:"details_url,omitempty"`
	External   string     `json:"external_id"`
	Status     string     `json:"status"`
	Conclusion string     `json:"conclusion,omitempty"`
	Started    *time.Time `json:"started_at,omitempty"`
	Completed  *time.Time `json:"completed_at,omitempty"`
	Output     output     `json:"output"`
	Actions    []action   `json:"actions"`
}

type output struct {
	Title       string       `json:"title"`
	Summary     string       `json:"summary"`
	Text        string       `json:"text"`
	Annotations []annotation `json:"annotations,omitempty"`
}

type annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn int    `json:"start_column,omitempty"`
	EndColumn   int    `json:"end_column,omitempty"`
	Level       string `json:"annotation_level"`
	Message     string `json:"message"`
	Title       string `json:"title,omitempty"`
	Details     string `json:"raw_details,omitempty"`
}

type action struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// The statuses of a check run.
const (
	queued     = "queued"
	inProgress = "in_progress"
	completed  = "completed"
)

// compose is the whole of a check as a run, cleaned and within the limits. A run
// that is not over has no annotations: they are added once.
func compose(c forge.Check) run {
	r := run{
		Name:     c.Name,
		Details:  address(c.Page),
		External: c.External,
		Status:   map[forge.State]string{forge.Queued: queued, forge.Running: inProgress, forge.Final: completed}[c.State],
		Output:   output{Title: line(c.Title, maxTitle), Summary: text(c.Summary, maxOutput), Text: text(c.Text, maxOutput)},
		Started:  moment(c.Started),
		Actions:  []action{},
	}
	if r.Output.Title == "" {
		r.Output.Title = line(c.Name, maxTitle)
	}
	if r.Output.Summary == "" {
		r.Output.Summary = r.Output.Title
	}
	if c.State == forge.Final {
		r.Conclusion, r.Completed = string(c.Conclusion), moment(c.Ended)
		for _, a := range c.Annotations {
			if b := annotate(a); b.Path != "" { // without one GitHub would refuse all
				r.Output.Annotations = append(r.Output.Annotations, b)
			}
		}
	}
	for _, a := range c.Actions {
		b := action{line(a.Label, maxLabel), line(a.Description, maxPurpose), a.Identifier}
		if b.Description == "" {
			b.Description = b.Label
		}
		if b.Label != "" && b.Identifier != "" && len(b.Identifier) <= maxIdentifier && len(r.Actions) < maxActions {
			r.Actions = append(r.Actions, b)
		}
	}
	return r
}

func annotate(a forge.Annotation) annotation {
	out := annotation{
		Path:      strings.TrimLeft(forge.Redact(a.Path), "/"),
		StartLine: max(a.Line, 1),
		EndLine:   max(a.EndLine, a.Line, 1),
		Level:     a.Level,
		Title:     line(a.Title, maxTitle),
		Message:   text(a.Message, maxMessageOf),
		Details:   text(a.Raw, maxMessageOf),
	}
	if out.Message == "" {
		out.Message = "(no message)"
	}
	if a.Column > 0 && out.StartLine == out.EndLine {
		out.StartColumn, out.EndColumn = a.Column, a.Column
	}
	if out.Level != "notice" && out.Level != "failure" {
		out.Level = "warning"
	}
	return out
}

// minimal is what is sent when GitHub refuses all of it: a check that says little
// is better than one that hangs.
func (r run) minimal() run {
	r.Output = output{Title: r.Output.Title, Summary: "GitHub refused the details. They are on the build's page."}
	r.Actions = []action{}
	return r
}

// digest names all that is shown.
func digest(shown any) string {
	text, err := json.Marshal(shown)
	if err != nil {
		panic(err) // strings, numbers and times
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// address is the address of a page if it is one that a browser would open.
func address(page string) string {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return page
}

// moment is a time as GitHub takes it: of whole seconds, in UTC.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
