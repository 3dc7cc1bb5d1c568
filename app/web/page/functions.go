package page

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// functions are what templates can call.
var functions = template.FuncMap{
	"asset":      assetPath,
	"artifacts":  artifactsPath,
	"badge":      BadgePath,
	"feed":       feedOf,
	"builds":     func(repository string) string { return BuildsPath(repository, api.Query{}) },
	"buildsOf":   func(repository, ref string) string { return BuildsPath(repository, api.Query{Ref: ref}) },
	"build":      BuildPath,
	"log":        TaskPath,
	"bytes":      term.Bytes,
	"clock":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") },
	"stamp":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"seconds":    func(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) },
	"took":       took,
	"count":      count,
	"first":      first,
	"short":      func(c plan.Commit) string { return c.Short() },
	"branch":     branch,
	"event":      eventName,
	"person":     person,
	"moment":     func(at, now time.Time) moment { return moment{at, now} },
	"mark":       Mark,
	"shownState": shownState,
	"standing":   buildStanding,
	"load":       load,
	"stepName":   stepName,
}

// took is how long something took, or has taken until now; "" if it has not begun.
func took(started, finished, now time.Time) string {
	if started.IsZero() {
		return ""
	}
	if finished.IsZero() {
		finished = now
	}
	return term.Duration(finished.Sub(started))
}

// count says 1 line, 2 lines.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// first is the first line of a text.
func first(text string) string {
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if more {
		line += " …"
	}
	return line
}

// load is how much of its capacity a builder uses, for a meter.
func load(c *api.Connection) string { return fmt.Sprintf("%d of %d", c.Busy, c.Capacity) }

// artifactsPath is where the artifacts of a task are fetched, all or one.
func artifactsPath(id build.ID, task, name string) string {
	path := BuildPath(id) + "/artifacts/" + url.PathEscape(task)
	for part := range strings.SplitSeq(name, "/") {
		if part != "" {
			path += "/" + url.PathEscape(part)
		}
	}
	return path
}

// stepName is how a step is called.
func stepName(s build.Step) string {
	if string(s.Type) == s.Name {
		return s.Name
	}
	return string(s.Type) + " " + first(s.Name)
}
