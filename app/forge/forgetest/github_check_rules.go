package forgetest

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a check run.
const (
	maxText        = 65535    // bytes of a summary, and of a text
	maxMessage     = 64 << 10 // bytes of an annotation's message, and of its details
	maxHeading     = 255      // characters of an annotation's title
	maxAnnotations = 50       // of one request
	maxActions     = 3
	maxLabel       = 20 // characters
	maxDescription = 40
	maxIdentifier  = 20
)

// A runRequest is the body of a request that makes or changes a check run. What it
// leaves out is nil.
type runRequest struct {
	Name       *string     `json:"name"`
	HeadSHA    *string     `json:"head_sha"`
	DetailsURL *string     `json:"details_url"`
	ExternalID *string     `json:"external_id"`
	Status     *string     `json:"status"`
	Started    *time.Time  `json:"started_at"`
	Conclusion *string     `json:"conclusion"`
	Completed  *time.Time  `json:"completed_at"`
	Output     *runOutput  `json:"output"`
	Actions    []RunAction `json:"actions"`
}

type runOutput struct {
	Title       *string         `json:"title"`
	Summary     *string         `json:"summary"`
	Text        *string         `json:"text"`
	Annotations []RunAnnotation `json:"annotations"`
}

// conclusions are those that an App may give.
var conclusions = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}

// check refuses what GitHub's description cannot refuse, and what it does too: the
// fake is as strict without it.
func (a *runRequest) check(first bool) error {
	if err := a.checkState(first); err != nil {
		return err
	}
	if a.DetailsURL != nil {
		if u, err := url.Parse(*a.DetailsURL); err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return wrong("details_url has to be an http or https address")
		}
	}
	if err := a.Output.check(first); err != nil {
		return err
	}
	if len(a.Actions) > maxActions {
		return wrong("%d actions, at most %d are allowed", len(a.Actions), maxActions)
	}
	for _, b := range a.Actions {
		if !within1(b.Label, maxLabel) || !within1(b.Description, maxDescription) || !within1(b.Identifier, maxIdentifier) {
			return wrong("action %+v: label, description and identifier have 1 to 20, 40 and 20 characters", b)
		}
	}
	return nil
}

// within1 reports whether a text has from one to most characters.
func within1(s string, most int) bool { return s != "" && utf8.RuneCountInString(s) <= most }

func (a *runRequest) checkState(first bool) error {
	switch {
	case a.Name == nil && first, a.Name != nil && *a.Name == "":
		return wrong("name is missing or empty")
	case first && (a.HeadSHA == nil || len(*a.HeadSHA) != len(zero) || strings.Trim(*a.HeadSHA, "0123456789abcdef") != ""):
		return wrong("head_sha is not the full id of a commit")
	case a.Status != nil && !slices.Contains([]string{"queued", "in_progress", "completed"}, *a.Status):
		return wrong("status %q is not one that an App may give", *a.Status)
	case a.Conclusion != nil && !slices.Contains(conclusions, *a.Conclusion):
		return wrong("conclusion %q is not one that an App may give", *a.Conclusion)
	case a.Conclusion == nil && (a.Completed != nil || a.Status != nil && *a.Status == "completed"):
		return wrong("a completed run needs a conclusion")
	}
	return nil
}

// check refuses output beyond the limits.
func (o *runOutput) check(first bool) error {
	switch {
	case o == nil:
		return nil
	case o.Summary == nil, first && (o.Title == nil || *o.Title == ""):
		return wrong("output needs a title and a summary")
	case len(*o.Summary) > maxText:
		return wrong("summary has %d bytes, at most %d are allowed", len(*o.Summary), maxText)
	case o.Text != nil && len(*o.Text) > maxText:
		return wrong("text has %d bytes, at most %d are allowed", len(*o.Text), maxText)
	case len(o.Annotations) > maxAnnotations:
		return wrong("%d annotations, at most %d are allowed in a request", len(o.Annotations), maxAnnotations)
	}
	for _, a := range o.Annotations {
		if err := a.check(); err != nil {
			return err
		}
	}
	return nil
}

func (a RunAnnotation) check() error {
	switch {
	case a.Path == "" || strings.HasPrefix(a.Path, "/") || a.Message == "":
		return wrong("annotation needs a message, and a path from the top of the repository: %+v", a)
	case a.StartLine < 1 || a.EndLine < a.StartLine:
		return wrong("annotation of lines %d to %d", a.StartLine, a.EndLine)
	case (a.StartColumn != 0 || a.EndColumn != 0) && a.StartLine != a.EndLine:
		return wrong("annotation has columns, and more than one line")
	case !slices.Contains([]string{"notice", "warning", "failure"}, a.Level):
		return wrong("annotation of level %q", a.Level)
	case len(a.Message) > maxMessage || len(a.RawDetails) > maxMessage || utf8.RuneCountInString(a.Title) > maxHeading:
		return wrong("annotation beyond the limits: message %d, raw_details %d, title %d", len(a.Message), len(a.RawDetails), len(a.Title))
	}
	return nil
}

// checkFrozen refuses what would change how a completed run ended. More output may
// follow.
func (a *runRequest) checkFrozen(is CheckRun) error {
	switch {
	case a.Status != nil && *a.Status != "completed":
		return wrong("run %d is completed: it cannot become %s", is.ID, *a.Status)
	case a.Conclusion != nil && *a.Conclusion != is.Conclusion:
		return wrong("run %d is completed as %s: it cannot become %s", is.ID, is.Conclusion, *a.Conclusion)
	case a.Name != nil && *a.Name != is.Name, a.ExternalID != nil && *a.ExternalID != is.ExternalID:
		return wrong("run %d is completed: it cannot become another", is.ID)
	}
	return nil
}

// apply brings a run to what was asked for.
func (a *runRequest) apply(c *CheckRun, now time.Time) {
	for _, f := range []struct{ from, to *string }{
		{a.Name, &c.Name}, {a.DetailsURL, &c.DetailsURL}, {a.ExternalID, &c.ExternalID},
		{a.Status, &c.Status}, {a.Conclusion, &c.Conclusion},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if a.Started != nil {
		c.Started = *a.Started
	}
	if a.Conclusion != nil {
		c.Status = "completed"
	}
	if c.Status != "queued" && c.Started.IsZero() {
		c.Started = now
	}
	if a.Completed != nil {
		c.Completed = *a.Completed
	}
	if c.Status == "completed" && c.Completed.IsZero() {
		c.Completed = now
	}
	if o := a.Output; o != nil {
		for _, f := range []struct{ from, to *string }{{o.Title, &c.Title}, {o.Summary, &c.Summary}, {o.Text, &c.Text}} {
			if f.from != nil {
				*f.to = *f.from
			}
		}
		c.Annotations = append(slices.Clone(c.Annotations), o.Annotations...)
	}
	if a.Actions != nil {
		c.Actions = a.Actions
	}
}
