package gitlab

import "sync"

// maxKnown is how many statuses are remembered.
const maxKnown = 10_000

// A spot is where a status is shown.
type spot struct {
	project   int64
	sha       string
	ref, name string
}

// memory has the statuses of which this process knows what GitLab has,
// since it got the answer to the last request about them. Of all others (an answer
// was lost, or another process asked) it has to be found out. And it has where merge
// requests come from. To forget costs a request.
type memory struct {
	mu       sync.Mutex
	statuses map[spot]posted
	sources  map[request]source
}

// posted is a status, and whose it was.
type posted struct {
	shown
	external string
}

// A request is a merge request.
type request struct{ project, number int64 }

// A source is where a merge request comes from, which does not change; its project
// is 0 if that is gone.
type source struct {
	project int64
	branch  string
}

func newMemory() *memory {
	return &memory{statuses: map[spot]posted{}, sources: map[request]source{}}
}

func (m *memory) keep(at spot, p posted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.statuses) >= maxKnown {
		clear(m.statuses)
	}
	m.statuses[at] = p
}

// take forgets a status, and says what was known.
func (m *memory) take(at spot, external string) (have shown, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.statuses[at]
	delete(m.statuses, at)
	p.ours = p.external == external
	return p.shown, ok
}

func (m *memory) source(r request) (source, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sources[r]
	return s, ok
}

func (m *memory) keepSource(r request, s source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sources) >= maxKnown {
		clear(m.sources)
	}
	m.sources[r] = s
}
