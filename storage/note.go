package storage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Note is the line about one finished build that is kept with its commit:
//
//	velocity/1 k3f9a2-0000001234 default: succeeded push refs/heads/main 10/10 3m12s 2026-11-22T16:08:09Z ""
//
// It is for people first and stands alone, so that lines of different origin can
// be sorted together.
type Note struct {
	ID       build.ID
	Name     string
	State    build.State
	Event    plan.Event
	Ref      string // "" is written as -
	Counts   build.Counts
	Took     time.Duration
	Finished time.Time // to the second
	Reason   string
}

// notePrefix is the version of the line.
const notePrefix = "velocity/1 "

// maxReason keeps a note a line that people can read. The whole reason is in
// the build.
const maxReason = 200

// NoteOf is the note of a finished build. It depends on nothing else, so that
// writing it again changes nothing.
func NoteOf(b *build.Build) Note {
	from := b.Started
	if from.IsZero() {
		from = b.Created
	}
	counts := b.Counts()
	counts.Skipped = 0 // the line has no place for it
	return Note{
		ID: b.ID, Name: b.Name, State: b.State(), Event: b.Trigger.Event, Ref: b.Trigger.Ref, Counts: counts,
		Took: rounded(b.Finished.Sub(from)), Finished: b.Finished.UTC().Truncate(time.Second), Reason: build.Clip(b.Reason(), maxReason),
	}
}

// rounded drops what nobody wants to read.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return max(0, d.Round(10*time.Millisecond))
	}
	return d.Round(time.Second)
}

// String is the line without its end.
func (n Note) String() string {
	return fmt.Sprintf("%s%s-%010d %s: %s %s %s %s %s %s %q", notePrefix, n.ID.Store, n.ID.Number, word(n.Name), n.State,
		word(string(n.Event)), word(n.Ref), n.Counts, n.Took, n.Finished.UTC().Format(time.RFC3339), n.Reason)
}

// word writes s so that it reads as one word, quoted if it must be.
func word(s string) string {
	plain := strings.IndexFunc(s, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("/._-+@=#", c)
	}) < 0
	switch {
	case s == "":
		return "-"
	case plain && s != "-" && utf8.ValidString(s):
		return s
	}
	return strconv.Quote(s)
}

// errNotNote means that a line of a note is not about a build, or of a version
// that this program does not read.
var errNotNote = errors.New("not a line that velocity/1 writes")

// ParseNote reads a line that String wrote.
func ParseNote(line string) (Note, error) {
	n, err := parseNote(line)
	if err != nil {
		return Note{}, fmt.Errorf("note %.80q: %w", line, err)
	}
	return n, nil
}

func parseNote(line string) (n Note, err error) {
	rest, ok := strings.CutPrefix(line, notePrefix)
	if !ok {
		return n, errNotNote
	}
	id, rest, _ := strings.Cut(rest, " ")
	if n.ID, err = build.ParseID(id); err != nil {
		return n, err
	}
	if n.Name, rest, err = cutWord(rest, ": "); err != nil {
		return n, err
	}
	state, rest, _ := strings.Cut(rest, " ")
	if n.State = build.State(state); !n.State.Final() {
		return n, fmt.Errorf("%q is no end of a build", state)
	}
	event, rest, err := cutWord(rest, " ")
	if err != nil {
		return n, err
	}
	n.Event = plan.Event(event)
	if n.Ref, rest, err = cutWord(rest, " "); err != nil {
		return n, err
	}
	err = n.numbers(rest)
	return n, err
}

// numbers reads what stands behind the ref.
func (n *Note) numbers(rest string) (err error) {
	fields := strings.SplitN(rest, " ", 4)
	if len(fields) != 4 {
		return errors.New("it ends early")
	}
	done, tasks, _ := strings.Cut(fields[0], "/")
	var errs [5]error
	n.Counts.Done, errs[0] = strconv.Atoi(done)
	n.Counts.Tasks, errs[1] = strconv.Atoi(tasks)
	n.Took, errs[2] = time.ParseDuration(fields[1])
	n.Finished, errs[3] = time.Parse(time.RFC3339, fields[2])
	n.Reason, errs[4] = strconv.Unquote(fields[3])
	if err = errors.Join(errs[:]...); err != nil {
		return err
	}
	n.Finished = n.Finished.UTC().Truncate(time.Second)
	return checkYear(n.Finished)
}

// cutWord reads one that word wrote, and the separator behind it.
func cutWord(s, sep string) (text, rest string, err error) {
	if quoted, err := strconv.QuotedPrefix(s); err == nil && s[0] == '"' {
		rest, ok := strings.CutPrefix(s[len(quoted):], sep)
		if !ok {
			return "", "", fmt.Errorf("%q is not followed by %q", quoted, sep)
		}
		text, err := strconv.Unquote(quoted)
		return text, rest, err
	}
	text, rest, ok := strings.Cut(s, sep)
	if !ok || text == "" || strings.ContainsAny(text, " \"") {
		return "", "", fmt.Errorf("no word before %q", sep)
	}
	if text == "-" {
		text = ""
	}
	return text, rest, nil
}
