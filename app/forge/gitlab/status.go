package gitlab

import (
	"net/url"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
)

// maxField is how long a name, a description and an address of a status may be, in
// characters; bytes are what is counted here, which are not fewer.
const maxField = 255

// States of a commit status.
const (
	pending  = "pending"
	running  = "running"
	success  = "success"
	failed   = "failed"
	canceled = "canceled"
	skipped  = "skipped"
)

// states are those that end a status, by conclusion. A status knows fewer, and the
// description tells them apart. What is held is not over for GitLab.
var states = map[forge.Conclusion]string{
	forge.Success: success, forge.Neutral: success, forge.Skipped: skipped,
	forge.Failure: failed, forge.TimedOut: failed,
	forge.Cancelled: canceled, forge.ActionRequired: pending,
}

// words say what a state cannot, before the title.
var words = map[forge.Conclusion]string{forge.Neutral: "Advisory", forge.TimedOut: "Timed out"}

// ranks are how far a state is. What is not here, such as created, is before all.
var ranks = map[string]int{pending: 1, running: 2, success: 3, failed: 3, canceled: 3, skipped: 3, "canceling": 3}

func final(state string) bool { return ranks[state] == 3 }

// A status is a check as a commit status.
type status struct {
	name, state, description, target string
}

// describe makes a status of a check.
func describe(c forge.Check) status {
	s := status{name: line(c.Name, maxField), target: address(c.Page)}
	switch {
	case c.State == forge.Running:
		s.state = running
	case c.State == forge.Final && c.Error && c.Conclusion != forge.Cancelled:
		s.state = failed
	case c.State == forge.Final:
		s.state = states[c.Conclusion]
		if s.state == "" {
			s.state = failed
		}
	default:
		s.state = pending
	}
	title := c.Title
	if word := words[c.Conclusion]; c.State == forge.Final && word != "" && !strings.HasPrefix(title, word) {
		title = word + ": " + title
	}
	s.description = line(title, maxField)
	if s.target == "" { // nothing else says which build it was
		id := " (" + line(c.External, maxField/2) + ")"
		s.description = line(title, maxField-len(id)) + id
	}
	return s
}

// address is one that GitLab takes; "" if it is none.
func address(page string) string {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(page) > maxField {
		return ""
	}
	return page
}

// shown is a status that GitLab has. The zero value is none.
type shown struct {
	state    string
	pipeline int64 // 0 if it is not known
	ours     bool  // it is of the build that is asked about
}

// moves are the states to post, one after the other, so that a status that is as have
// comes to want. GitLab takes no state twice and none that comes before another,
// until a final one: whatever follows that is a status of its own.
func moves(have shown, want string) []string {
	switch {
	case have.state == "":
		return []string{want}
	case have.ours && (final(have.state) || ranks[have.state] >= ranks[want]):
		return nil
	case have.state == running && want == skipped:
		return []string{canceled} // what runs is not skipped any more
	case have.ours, final(have.state), final(want):
		return []string{want}
	case have.state == running: // of an older build, which nobody ended
		return []string{canceled, want}
	case ranks[have.state] < ranks[want]:
		return []string{want}
	}
	return nil // it waits already
}
