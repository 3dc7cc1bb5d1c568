package build

import "strings"

// Reasons for Canceling that are not about the build but about what it is of.
const (
	ReasonSuperseded = "superseded by " // and the id of the build that takes its place
	ReasonClosed     = "pull request closed"
	ReasonDestroyed  = "merge group destroyed"
	ReasonDeleted    = "ref deleted"
	ReasonLeft       = "repository not built here any more: " // and why
)

// Void reports whether the build was ended because of what it is of: something newer
// took its place, or its pull request, ref or repository was gone. If that is back, it
// has to be built. What a person canceled, or nobody approved, has not.
func (b *Build) Void() bool {
	switch b.Canceled {
	case ReasonClosed, ReasonDestroyed, ReasonDeleted:
		return b.State() != Succeeded
	}
	return b.State() != Succeeded &&
		(strings.HasPrefix(b.Canceled, ReasonSuperseded) || strings.HasPrefix(b.Canceled, ReasonLeft))
}
