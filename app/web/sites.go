package web

import (
	"slices"
	"strings"
	"sync"
)

// Sites are the repositories that are answered for. They come and go at any time;
// who is being answered when one goes is answered to the end. The zero value has
// none. It is safe for concurrent use.
type Sites struct {
	mu  sync.Mutex
	all []*Server
}

// Add has a repository answered for from now on. Its identity must be its own; what
// it is called need not be.
func (s *Sites) Add(one *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
}

// Remove ends that. It may be gone already.
func (s *Sites) Remove(one *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(other *Server) bool { return other == one })
}

// list is those there are now; the slice is the caller's.
func (s *Sites) list() []*Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// above finds the site that a path is about, nil if there is none, and what is below
// it. That is the one whose identity the path begins with, or else the one whose
// name: those may have several parts, be the beginning of another's, and begin with
// the identity of somebody else's repository.
func (s *Sites) above(path string) (found *Server, below string) {
	all := s.list()
	for _, one := range all {
		if rest, ok := strings.CutPrefix(path, one.Site.Identity()); ok && one.Site.Key != "" && strings.HasPrefix(rest, "/") {
			return one, rest
		}
	}
	longest := -1
	for _, one := range all {
		name := one.Site.Called()
		if !strings.HasPrefix(path, name+"/") || len(name) < longest {
			continue
		}
		if len(name) == longest {
			found = nil // which of the two is not known
			continue
		}
		found, longest = one, len(name)
	}
	if found == nil {
		return nil, ""
	}
	return found, path[longest:]
}
