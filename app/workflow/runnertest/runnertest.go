// Package runnertest reads, for tests, the output of a step and the files it leaves
// behind as a runner of GitHub Actions does. Where the runner's own reading depends
// on its machine's language, it takes more for a command than any runner.
package runnertest

import (
	"slices"
	"strings"
	"unicode"
)

// known are the commands of runners, those that are switched off today included.
var known = []string{
	"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group",
	"internal-set-repo-path", "notice", "remove-matcher", "save-state", "set-env", "set-output", "warning", stopCommands,
}

const stopCommands = "stop-commands"

// A Command is one that a runner obeys.
type Command struct {
	Name       string // in lower case
	Properties map[string]string
	Data       string
	Line       int // of the output, from 0
}

// A Text is a line that the runner shows.
type Text struct {
	Text  string
	Group string // that is open; "" for none
	Line  int    // of the output, from 0
}

// A Log is what a runner makes of a step's output.
type Log struct {
	Commands []Command // without those that stop others
	Texts    []Text
	Painted  []string // lines of text that pages show as a group, an error or the like
	Stopped  bool     // commands are off at the end
	Open     string   // group at the end
}

// Read reads the output of a step from its beginning.
func Read(output string) *Log {
	l, token := &Log{}, ""
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(output), "\n")
	for i, line := range lines {
		commands := known
		if token != "" {
			commands = append(slices.Clone(known), strings.ToLower(token))
		}
		c, ok := parse(line, commands)
		switch {
		case ok && token != "" && strings.EqualFold(c.Name, token):
			token = ""
		case ok && token == "" && c.Name == stopCommands:
			token = c.Data
		case ok && token == "":
			c.Line = i
			l.obey(c)
		case i < len(lines)-1 || line != "":
			l.Texts = append(l.Texts, Text{Text: line, Group: l.Open, Line: i})
			if strings.HasPrefix(bare(line), "##[") {
				l.Painted = append(l.Painted, line)
			}
		}
	}
	l.Stopped = token != ""
	return l
}

func (l *Log) obey(c Command) {
	l.Commands = append(l.Commands, c)
	switch c.Name {
	case "group":
		l.Open = c.Data
	case "endgroup":
		l.Open = ""
	}
}

// All are the commands of a name.
func (l *Log) All(name string) (all []Command) {
	for _, c := range l.Commands {
		if c.Name == name {
			all = append(all, c)
		}
	}
	return all
}

// In is the text of all groups whose title begins so.
func (l *Log) In(title string) string {
	var out strings.Builder
	for _, t := range l.Texts {
		if t.Group != "" && strings.HasPrefix(t.Group, title) {
			out.WriteString(t.Text + "\n")
		}
	}
	return out.String()
}

// parse finds the command that a line is.
func parse(line string, commands []string) (Command, bool) {
	if c, ok := parseNow(bare(line), commands); ok {
		return c, true
	}
	return parseThen(bare(line), commands)
}

// bare is a line as comparing by a language sees it: without characters that have
// no width, and without white space at the beginning.
func bare(line string) string {
	return strings.TrimLeftFunc(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Mn, unicode.Cc) && r != '\t' {
			return -1
		}
		return r
	}, line), unicode.IsSpace)
}

// parseNow reads ::name key=value,key=value::data.
func parseNow(line string, commands []string) (c Command, ok bool) {
	rest, ok := strings.CutPrefix(line, "::")
	if !ok {
		return c, false
	}
	info, data, ok := strings.Cut(rest, "::")
	if !ok {
		return c, false
	}
	c, ok = named(info, ",", commands, "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C", "%", "%25")
	c.Data = unescape(data, "\r", "%0D", "\n", "%0A", "%", "%25")
	return c, ok
}

// parseThen reads the older form, anywhere in a line: ##[name key=value;]data.
func parseThen(line string, commands []string) (c Command, ok bool) {
	_, rest, ok := strings.Cut(line, "##[")
	if !ok {
		return c, false
	}
	info, data, ok := strings.Cut(rest, "]")
	if !ok {
		return c, false
	}
	pairs := []string{";", "%3B", "\r", "%0D", "\n", "%0A", "]", "%5D", "%", "%25"}
	c, ok = named(info, ";", commands, pairs...)
	c.Data = unescape(data, pairs...)
	return c, ok
}

func named(info, separator string, commands []string, pairs ...string) (c Command, ok bool) {
	name, properties, _ := strings.Cut(info, " ")
	if c.Name = strings.ToLower(name); !slices.Contains(commands, c.Name) {
		return c, false
	}
	c.Properties = map[string]string{}
	for property := range strings.SplitSeq(strings.TrimSpace(properties), separator) {
		if key, value, ok := strings.Cut(property, "="); ok && key != "" && value != "" {
			c.Properties[key] = unescape(value, pairs...)
		}
	}
	return c, true
}

// unescape replaces one pair after the other, as runners do.
func unescape(text string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, pairs[i+1], pairs[i])
	}
	return text
}
