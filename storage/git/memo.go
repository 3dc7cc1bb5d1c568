package git

import "sync"

// memo remembers decoded objects, by name and by place for the bases of deltas. They
// are of two generations: what is read is young, and what is still old when the young
// become so is forgotten.
type memo struct {
	limit int // bytes of both

	mu         sync.Mutex
	young, old map[memoKey]object
	held       int // by young
}

// memoKey is a hash, or a place in a pack.
type memoKey struct {
	hash   Hash
	pack   string
	offset int64
}

const (
	memoLimit = 16 << 20
	memoEntry = 200 // bytes beside the content, about
)

func (m *memo) get(key memoKey) (object, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.young[key]
	if ok {
		return o, true
	}
	if o, ok = m.old[key]; ok {
		delete(m.old, key)
		m.add(key, o)
	}
	return o, ok
}

func (m *memo) put(key memoKey, o object) {
	if cap(o.content) > m.limit/16 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.young[key]; !ok {
		m.add(key, o)
	}
}

func (m *memo) add(key memoKey, o object) {
	size := cap(o.content) + memoEntry
	if m.held+size > m.limit/2 {
		m.turn()
	}
	if m.young == nil {
		m.young = make(map[memoKey]object)
	}
	m.young[key] = o
	m.held += size
}

// turn makes the young old.
func (m *memo) turn() { m.old, m.young, m.held = m.young, nil, 0 }

// age forgets what was not asked for since the age before.
func (m *memo) age() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
}

// Rest forgets what was read of the repository and not again since the last Rest: a
// server that keeps a repository open for months shall keep in memory what its readers
// ask for, and not what its builds once needed. It may be called at any time.
func (r *Repository) Rest() { r.objects.memo.age() }
