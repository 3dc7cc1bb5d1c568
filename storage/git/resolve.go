package git

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Resolve finds the commit a person means: HEAD, a full ref name, an object id,
// a branch, a tag, a remote branch, or the unique beginning of an id (at least
// four digits), in this order. The ref is its full name, or "" for an id.
//
// Forty digits are always an object id, whatever branches are called. The result
// is to be used instead of rev from then on.
func (r *Repository) Resolve(rev string) (ref string, commit Hash, err error) {
	ref, h, err := r.resolve(rev)
	if err != nil {
		return "", Zero, err
	}
	commit, err = r.Peel(h)
	if err != nil {
		return "", Zero, fmt.Errorf("resolve %q: %w", rev, err)
	}
	return ref, commit, nil
}

func (r *Repository) resolve(rev string) (string, Hash, error) {
	if rev == "HEAD" || rev == "@" {
		branch, h, err := r.Head()
		if err == nil && h.IsZero() {
			err = fmt.Errorf("%w: %s has no commit yet", ErrRefNotFound, branch)
		}
		return branch, h, err
	}
	if h, err := ParseHash(rev); err == nil {
		return "", h, nil
	}
	names := []string{"refs/heads/" + rev, "refs/tags/" + rev, "refs/remotes/" + rev}
	if strings.HasPrefix(rev, "refs/") {
		names = []string{rev}
	}
	for _, name := range names {
		if h, err := r.Ref(name); !errors.Is(err, ErrRefNotFound) {
			return name, h, err
		}
	}
	if start, ok := parsePrefix(rev); ok {
		h, err := r.abbreviated(start)
		return "", h, err
	}
	return "", Zero, fmt.Errorf("%w: no branch, tag or commit is called %.80q", ErrRefNotFound, rev)
}

// prefix is the beginning of an object id, 4 to 39 lower case hex digits.
type prefix string

func parsePrefix(s string) (prefix, bool) {
	if len(s) < 4 || len(s) >= hexSize || strings.Trim(strings.ToLower(s), "0123456789abcdef") != "" {
		return "", false
	}
	return prefix(strings.ToLower(s)), true
}

// first is the byte that the first two digits stand for.
func (p prefix) first() byte {
	b, _ := hex.DecodeString(string(p[:2])) // hex digits, by parsePrefix
	return b[0]
}

func (p prefix) matches(h Hash) bool { return strings.HasPrefix(h.String(), string(p)) }

// abbreviated finds the one commit or tag that begins with p.
func (r *Repository) abbreviated(p prefix) (Hash, error) {
	candidates, err := r.objects.withPrefix(p)
	if err != nil {
		return Zero, err
	}
	var found []Hash
	for h := range candidates {
		if commit, err := r.Peel(h); err == nil && commit == h {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 0:
		return Zero, fmt.Errorf("%w: no branch, tag or commit is called %q", ErrRefNotFound, p)
	case 1:
		return found[0], nil
	}
	return Zero, fmt.Errorf("%w: %q is the beginning of %d commits; give more digits", ErrRefNotFound, p, len(found))
}

// withPrefix returns all objects that begin with p.
func (s *objectStore) withPrefix(p prefix) (map[Hash]bool, error) {
	if _, err := s.refresh(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	packs, folders := s.packs, s.folders
	s.mu.RUnlock()
	found := make(map[Hash]bool)
	for _, pack := range packs {
		if err := pack.withPrefix(p, func(h Hash) { found[h] = true }); err != nil {
			return nil, err
		}
	}
	for _, folder := range folders {
		entries, err := os.ReadDir(filepath.Join(folder, string(p[:2])))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list loose objects: %w", err)
		}
		for _, entry := range entries {
			if h, err := ParseHash(string(p[:2]) + entry.Name()); err == nil && p.matches(h) {
				found[h] = true
			}
		}
	}
	return found, nil
}
