package github

import "sync"

// maxKnown is how many things a memory has room for.
const maxKnown = 10_000

// A memory is of what this process did last. It forgets everything when it is full:
// what it does not know costs a request.
type memory[K comparable, V any] struct {
	mu    sync.Mutex
	known map[K]V
}

func newMemory[K comparable, V any]() *memory[K, V] { return &memory[K, V]{known: map[K]V{}} }

func (m *memory[K, V]) put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= maxKnown {
		clear(m.known)
	}
	m.known[k] = v
}

// get is the zero value for what is not known.
func (m *memory[K, V]) get(k K) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[k]
}

// take is get, and forgets it.
func (m *memory[K, V]) take(k K) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok = m.known[k]
	delete(m.known, k)
	return v, ok
}
