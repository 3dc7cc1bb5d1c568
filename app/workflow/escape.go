package workflow

import (
	"crypto/rand"
	"regexp"
	"strings"
	"unicode"

	"github.com/velocity-ci/velocity/app/term"
)

// marker is the beginning of a command in its older form, anywhere in a line. Pages
// show a line that begins so as what it names, a group or an error, also where no
// command is taken. Runners compare as languages do, for which characters without
// width are not there.
var marker = regexp.MustCompile(`#[^\pL\pN\pP\pS\pZ]*#[^\pL\pN\pP\pS\pZ]*\[`)

const unmarked = "## ["

// plain makes a line of text: without ends of lines and without what a terminal or
// a runner would obey.
func plain(text string) string {
	text = marker.ReplaceAllLiteralString(term.Clean(text), unmarked)
	// A runner looks past white space at the beginning.
	if first := strings.IndexFunc(text, visible); first >= 0 && text[first] == ':' {
		return "> " + text
	}
	return text
}

func visible(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsPunct(r) || unicode.IsSymbol(r)
}

// Runners replace these back one after the other, "%25" last.
var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func escapeData(text string) string     { return dataEscapes.Replace(text) }
func escapeProperty(text string) string { return propertyEscapes.Replace(text) }

// Output is the text that sets an output of the step when it is appended to the
// file that GITHUB_OUTPUT names. The name must be one of action.yml; the value may
// be anything.
func Output(name, value string) string {
	end := "end-" + rand.Text() // a value cannot have it in it
	return name + "<<" + end + "\n" + value + "\n" + end + "\n"
}
