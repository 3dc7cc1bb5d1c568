package plan

// A Trust says whose code a build is of, as whoever accepted its trigger found
// out. It is decided there once, and only read afterwards. What nobody found out,
// and a word of a later version, is no trust: see Trigger.Stranger.
type Trust string

// What is known of the commit and of who sent it.
const (
	TrustUnknown  Trust = ""         // nobody asked
	TrustWriter   Trust = "writer"   // it is in this repository, and whoever sent it may write to that
	TrustStranger Trust = "stranger" // it is in this repository; who sent it is not known to be allowed to, as a bot that nobody listed
	TrustFork     Trust = "fork"     // it is in another repository, or in one that is gone
)

// TrustOf is the trust in a commit, from where it is and from who sent it.
func TrustOf(fork, writer bool) Trust {
	switch {
	case fork:
		return TrustFork
	case writer:
		return TrustWriter
	}
	return TrustStranger
}

// Fork reports whether the commit is from another repository.
func (t Trigger) Fork() bool { return t.Trust == TrustFork }

// Stranger reports whether it is not known that the one who sent the commit may
// write to the repository. Who can push one to it, or ask for a build, can write;
// of a pull request and a merge group it has to be said.
func (t Trigger) Stranger() bool {
	switch t.Trust {
	case TrustWriter:
		return false
	case TrustUnknown:
		return t.Event.Proposes()
	}
	return true
}

// Trusted reports whether the commit is from this repository and from somebody who
// may write to it.
func (t Trigger) Trusted() bool { return !t.Fork() && !t.Stranger() }
