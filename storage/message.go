package storage

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/velocity-ci/velocity/architect/build"
)

// message is the commit message for moves of b, so that git log of a live ref
// reads as the build's story:
//
//	build k3f9a2-1234: test/backend building -> succeeded (+2 more)
func message(b *build.Build, moves []build.Move, writer string) string {
	var m strings.Builder
	fmt.Fprintf(&m, "build %s: %s\n", b.ID, subject(b, moves))
	if len(moves) > 0 {
		first, last := moves[0].Seq, moves[len(moves)-1].Seq
		fmt.Fprintf(&m, "\nVelocity-Seq: %d", first)
		if last > first {
			fmt.Fprintf(&m, "..%d", last)
		}
	}
	fmt.Fprintf(&m, "\nVelocity-State: %s\nVelocity-Writer: %s\n", b.State(), oneLine(writer))
	return m.String()
}

// subject tells the last task that changed its state, or the last move.
func subject(b *build.Build, moves []build.Move) string {
	if len(moves) == 0 {
		return "state"
	}
	told := moves[len(moves)-1]
	for _, m := range moves {
		if m.From != m.To {
			told = m
		}
	}
	text := string(told.Kind)
	if t, ok := b.Task(told.Task); ok {
		text = fmt.Sprintf("%s %s", taskPath(b, t), told.Kind)
		if told.From != told.To {
			text = fmt.Sprintf("%s %s -> %s", taskPath(b, t), told.From, told.To)
		}
	} else if told.Reason != "" {
		text += ": " + told.Reason
	}
	text = oneLine(text)
	if len(moves) > 1 {
		text += fmt.Sprintf(" (+%d more)", len(moves)-1)
	}
	return text
}

// taskPath is stage/task by their names.
func taskPath(b *build.Build, t *build.Task) string {
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if &b.Stages[i].Tasks[j] == t {
				return b.Stages[i].Name + "/" + t.Name
			}
		}
	}
	return t.Name
}

// oneLine keeps what people named from breaking out of its line.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	return build.Clip(s, maxReason)
}
