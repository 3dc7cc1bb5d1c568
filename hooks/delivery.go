package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// The forges that deliveries come from, as in the names of their keys.
const (
	fromGitHub = "github"
	fromGitLab = "gitlab"
)

// A Delivery is what a forge sent, after its sender was proven and before anybody
// looked into it.
type Delivery struct {
	Forge    string    // github or gitlab
	Key      string    // equal for the repeats of one delivery; a valid part of a ref's name
	Event    string    // as the forge's header names it; it is not signed. "" if it has none
	Body     []byte    // JSON, or what was sent in its place
	Received time.Time // by our clock
}

// An Inbox keeps deliveries until they were worked off.
type Inbox interface {
	// Accept returns nil only when the delivery would survive a loss of power:
	// GitHub does not send one again by itself. One whose key is known already is
	// nil as well. It is called by many goroutines at once, and may keep the body.
	Accept(ctx context.Context, d Delivery) error
}

// GitHubKey is the key of a delivery of GitHub: of the hook's number and the GUID,
// as in the headers X-GitHub-Hook-ID and X-GitHub-Delivery. The GUID alone names an
// event, which several hooks may send. Whoever reads deliveries from GitHub's list
// gets the key under which the same one came, or did not come, as a request.
func GitHubKey(hook, guid string) string { return key(fromGitHub, "guid", hook, guid) }

// key is a digest of parts that cannot be shifted into each other. Nobody who sends
// has a say in how it looks.
func key(forge string, parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		sum.Write(size[:])
		sum.Write([]byte(part))
	}
	return forge + "-" + hex.EncodeToString(sum.Sum(nil)[:20])
}

// bodyKey is for a delivery that has no number of its own.
func bodyKey(forge, event string, body []byte) string {
	sum := sha256.Sum256(body)
	return key(forge, "body", event, string(sum[:]))
}
