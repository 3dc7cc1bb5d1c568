package report

import (
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
)

// Whole is all that the check of a finished build says, as one page of Markdown of
// at most MaxWhole bytes: for a place that shows no annotations beside it, or not
// all of them.
func Whole(check forge.Check) string {
	p := &page{limit: MaxWhole, alone: true}
	p.add(check.Summary)
	if len(check.Annotations) > 0 {
		p.add("\n#### Findings\n\n")
	}
	var lines []string
	for _, a := range check.Annotations {
		lines = append(lines, finding(a))
	}
	p.within(findingBytes, func(p *page) { p.list("finding", lines) })
	if text := strings.TrimSpace(check.Text); text != "" {
		p.add("\n#### Details\n\n" + text + "\n")
	}
	return p.String()
}

// What a page for itself may have, and what findings get of it at most.
const (
	MaxWhole     = 3 * MaxBytes
	findingBytes = MaxBytes - 1000
)

// finding is one line about an annotation.
func finding(a forge.Annotation) string {
	place := a.Path
	if a.Line > 0 {
		place += ":" + strconv.Itoa(a.Line)
	}
	text := "- " + a.Level + " at " + code(place) + ": " + code(a.Title)
	if a.Message != a.Title {
		text += ": " + code(a.Message)
	}
	return text + "\n"
}
