package git

import "sync"

// memo remembers decoded objects, by name and by place for the bases of deltas.
// When full it forgets all: what is hot comes back at once.
type memo struct {
	limit int // bytes of content

	mu    sync.Mutex
	held  int
	known map[memoKey]object
}

// memoKey is a hash, or a place in a pack.
type memoKey struct {
	hash   Hash
	pack   string
	offset int64
}

const memoLimit = 16 << 20

func (m *memo) get(key memoKey) (object, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.known[key]
	return o, ok
}

func (m *memo) put(key memoKey, o object) {
	if len(o.content) > m.limit/16 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || m.held+len(o.content) > m.limit {
		m.known, m.held = make(map[memoKey]object), 0
	}
	if _, ok := m.known[key]; !ok {
		m.known[key], m.held = o, m.held+len(o.content)+100
	}
}
