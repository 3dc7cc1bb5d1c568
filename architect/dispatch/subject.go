package dispatch

import (
	"fmt"
	"strings"
)

// Subjects. A builder speaks and listens only below its own name:
//
//	velocity.builder.<name>.assign    request to the builder: offer → answer
//	velocity.builder.<name>.cancel    request to the builder: stop → answer
//	velocity.builder.<name>.up.here   from the builder: Presence → answer
//	velocity.builder.<name>.up.step   from the builder: Progress → answer
//	velocity.builder.<name>.up.log    from the builder: Chunk → answer with the offset reached
//	velocity.builder.<name>.up.end    from the builder: Result → answer
//	velocity.event.<build>            published: one of the eight events
//	velocity.architect.who            request between architects: question → claim
//	velocity.architect.inbox.>        answers to the architect
//	_INBOX.<name>.>                   answers to one builder
const (
	subjectRoot    = "velocity.builder."
	verbAssign     = "assign"
	verbCancel     = "cancel"
	verbUp         = "up."
	verbHere       = verbUp + "here"
	verbStep       = verbUp + "step"
	verbLog        = verbUp + "log"
	verbEnd        = verbUp + "end"
	eventRoot      = "velocity.event."
	subjectWho     = "velocity.architect.who"
	architectInbox = "velocity.architect.inbox"
	inboxRoot      = "_INBOX."
)

// ValidName accepts what can stand in a subject as a builder's name: lower-case
// letters, digits, dashes and underscores, at most 63.
func ValidName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

func subject(builder, verb string) string { return subjectRoot + builder + "." + verb }

// inbox is the prefix of the subjects that answers to a builder arrive under.
func inbox(builder string) string { return inboxRoot + builder }

// inInbox tells whether a message of a builder asks for its answer where only
// this builder hears it. The architect may publish anywhere: without this check a
// builder would choose what it publishes to.
func inInbox(builder, reply string) bool {
	rest, ok := strings.CutPrefix(reply, inbox(builder)+".")
	return ok && rest != "" && !strings.ContainsAny(rest, "*>")
}

// Permissions are the only subjects of a NATS user. Beyond them a builder may
// answer a request, once, within RespondWithin.
type Permissions struct{ Publish, Subscribe []string }

// BuilderPermissions are those of the builder of this name, which must be a
// ValidName. That the hub may believe a subject rests on them.
func BuilderPermissions(name string) Permissions {
	return Permissions{
		Publish:   []string{subject(name, verbUp+">")},
		Subscribe: []string{subject(name, verbAssign), subject(name, verbCancel), inbox(name) + ".>"},
	}
}

// ArchitectPermissions are those of the architect.
func ArchitectPermissions() Permissions {
	return Permissions{
		Publish:   []string{"velocity.>", inboxRoot + ">"},
		Subscribe: []string{"velocity.>"},
	}
}

func badName(name string) error {
	return fmt.Errorf("builder name %q: want lower-case letters, digits, dashes and underscores, at most 63", name)
}
