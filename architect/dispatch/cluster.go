package dispatch

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A Member is a builder as an external NATS server must know it.
type Member struct{ Name, Public string }

// RespondWithin is how long a builder may take to answer a request.
const RespondWithin = 2 * time.Minute

// WriteAccount writes the part of a nats-server configuration that gives the
// architect, by its public user key, and every builder exactly the subjects that
// the embedded server would. It refuses what could not stand in such a file.
func WriteAccount(w io.Writer, architect string, members []Member) error {
	var b strings.Builder
	b.WriteString("accounts {\n  VELOCITY {\n    users: [\n")
	if !ValidPublic(architect) {
		return fmt.Errorf("%.80q is not a public key of a NATS user", architect)
	}
	fmt.Fprintf(&b, "      { nkey: %s, permissions: { %s } } # the architect\n", architect, ArchitectPermissions())
	members = slices.SortedFunc(slices.Values(members), func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range members {
		if !ValidName(m.Name) {
			return badName(m.Name)
		}
		if !ValidPublic(m.Public) {
			return fmt.Errorf("builder %s: %.80q is not a public key of a NATS user", m.Name, m.Public)
		}
		fmt.Fprintf(&b, "      { nkey: %s, permissions: { %s, allow_responses: { max: 1, expires: %q } } } # %s\n",
			m.Public, BuilderPermissions(m.Name), RespondWithin, m.Name)
	}
	b.WriteString("    ]\n  }\n}\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the NATS account: %w", err)
	}
	return nil
}

// String is in the notation of nats-server's configuration.
func (p Permissions) String() string {
	return fmt.Sprintf("publish: { allow: %s }, subscribe: { allow: %s }", quoted(p.Publish), quoted(p.Subscribe))
}

func quoted(subjects []string) string {
	return `["` + strings.Join(subjects, `", "`) + `"]`
}
