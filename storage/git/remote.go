package git

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// ErrNoRemote says that no remote is meant, or several could be.
var ErrNoRemote = errors.New("no such remote")

// A Remote is another repository that its user fetches from and pushes to. All
// that is done with it runs with the user's own git configuration and
// credentials, unlike our other git calls, but without hooks. One of RemoteAt is
// reached as the rest of our calls are, with what that was given.
type Remote struct {
	// Ask lets git and ssh ask for passwords on the terminal. Without it they have
	// none, so that nothing waits for an answer that nobody gives.
	Ask bool

	repo       *Repository
	target     string  // what git is given
	access     *access // how it is reached; nil is as the user would
	configured bool    // target is a name in the configuration
}

// Remote finds a remote by its configured name, or takes a URL or path. For "" it
// is origin, else the only one. It fails with ErrNoRemote, and for URLs that are
// options or commands in disguise.
func (r *Repository) Remote(ctx context.Context, name string) (*Remote, error) {
	m := &Remote{repo: r, target: name}
	out, err := m.git(ctx, nil, nil, "remote")
	if err != nil {
		return nil, fmt.Errorf("list remotes: %w", err)
	}
	names := strings.Fields(string(out))
	switch {
	case slices.Contains(names, name):
		m.configured = true
		return m, nil
	case name == "":
		m.configured = true
		m.target, err = usualRemote(names)
		return m, err
	case !strings.ContainsAny(name, `/:\`) && name != "." && name != "..":
		return nil, fmt.Errorf("%w: %.100q; configured are: %s", ErrNoRemote, name, orNone(names))
	}
	if _, err := checkSource(name, nil); err != nil {
		return nil, err
	}
	if isPath(name) {
		m.target, err = filepath.Abs(name)
	}
	return m, err
}

// usualRemote is the one that is meant when none is named.
func usualRemote(names []string) (string, error) {
	switch {
	case slices.Contains(names, "origin"):
		return "origin", nil
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", fmt.Errorf("%w: none is configured, name a URL or path", ErrNoRemote)
	}
	return "", fmt.Errorf("%w: name one of %s", ErrNoRemote, strings.Join(names, ", "))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// isPath is git's rule: a colon before the first slash makes it an address.
func isPath(s string) bool {
	colon := strings.IndexByte(s, ':')
	return colon < 0 || strings.Contains(s[:colon], "/")
}

// String is the remote for people to read, without credentials.
func (m *Remote) String() string {
	return userInfo.ReplaceAllString(m.target, "://***@")
}

// Key is the remote's name as one component of a ref. In names from the
// configuration all but letters, digits, "-" and "_" is written as "=" and two
// hex digits for each byte; a URL or path is "url+" and twelve hex digits of the
// SHA-256 of it, credentials left out; what RemoteAt was given follows "at+". So no
// two remotes share a key.
func (m *Remote) Key() string {
	if m.access != nil {
		return "at+" + escapeName(m.access.key)
	}
	if m.configured && len(m.target) <= maxKey/3 {
		return escapeName(m.target)
	}
	source := m.target
	if u, err := url.Parse(source); err == nil && u.Scheme != "" && u.User != nil {
		u.User = nil
		source = u.String()
	}
	return fmt.Sprintf("url+%x", sha256.Sum256([]byte(source)))[:len("url+")+12]
}

// maxKey leaves room in a ref's name, in bytes. Longer names are hashed like URLs.
const maxKey = 120

func escapeName(name string) string {
	var b strings.Builder
	for i, c := range []byte(name) {
		plain := c < unicode.MaxASCII && (unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) || c == '_' || c == '-' && i > 0)
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	return b.String()
}

// maxListing bounds what a remote may send as its list of refs, in bytes: some
// half a million refs.
const maxListing = 64 << 20

// List returns the remote's refs whose names begin with one of prefixes, sorted
// by name. Names that git itself would not create are left out.
func (m *Remote) List(ctx context.Context, prefixes ...string) ([]Ref, error) {
	out := &limited{left: maxListing}
	if _, err := m.git(ctx, nil, out, "ls-remote", "--quiet", "--refs", "--end-of-options", m.target); err != nil {
		if out.left < 0 {
			err = fmt.Errorf("its list of refs is longer than %d MiB: %w", maxListing>>20, ErrTooLarge)
		}
		return nil, fmt.Errorf("list refs of %s: %w", m, err)
	}
	refs := parseListing(out.String(), prefixes)
	slices.SortFunc(refs, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(refs, func(a, b Ref) bool { return a.Name == b.Name }), nil
}

// parseListing reads lines of an object id, a tab and a ref's name.
func parseListing(out string, prefixes []string) []Ref {
	var refs []Ref
	for line := range strings.Lines(out) {
		id, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		h, err := ParseHash(id)
		wanted := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		if err == nil && !h.IsZero() && wanted && readableRef(name) {
			refs = append(refs, Ref{Name: name, Hash: h})
		}
	}
	return refs
}

// limited keeps what is written to it, up to a bound.
type limited struct {
	strings.Builder
	left int // bytes; negative when there was more
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, ErrTooLarge
	}
	return l.Builder.Write(p)
}

// CopyPrefix is before all refs that Fetch writes.
const CopyPrefix = "refs/velocity/remotes/"

// A Copy says which ref of a remote is fetched to which of ours.
type Copy struct{ From, To string }

// Fetch replaces our copies of the remote's refs, all or none. It writes refs
// below CopyPrefix only, whatever is configured, and takes no objects that git
// finds faulty.
func (m *Remote) Fetch(ctx context.Context, copies []Copy) error {
	var specs strings.Builder
	for _, c := range copies {
		if err := errors.Join(checkRefName(c.From), checkRefName(c.To)); err != nil {
			return fmt.Errorf("fetch from %s: %w", m, err)
		}
		if !strings.HasPrefix(c.To, CopyPrefix) {
			return fmt.Errorf("fetch from %s: %s is not below %s", m, c.To, CopyPrefix)
		}
		fmt.Fprintf(&specs, "+%s:%s\n", c.From, c.To)
	}
	// An empty refmap and the rest: else the configuration could add refs, and a
	// partial clone would leave the files out.
	_, err := m.git(ctx, strings.NewReader(specs.String()), nil, "fetch", "--quiet", "--atomic", "--stdin", "--refmap=",
		"--no-tags", "--no-prune", "--no-prune-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"--no-auto-maintenance", "--no-filter", "--no-write-commit-graph", "--end-of-options", m.target)
	if err != nil {
		return fmt.Errorf("fetch from %s: %w", m, err)
	}
	return nil
}
