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

// Add has a repository answered for from now on. Two that are called the same could
// not be told apart: that is for the caller to see to.
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

// above finds the site whose name a path begins with, nil if there is none. A name
// may have several parts, and be the beginning of another's.
func (s *Sites) above(path string) (found *Server) {
	longest := -1
	for _, one := range s.list() {
		name := one.Site.Called()
		if strings.HasPrefix(path, name+"/") && len(name) > longest {
			found, longest = one, len(name)
		}
	}
	return found
}
