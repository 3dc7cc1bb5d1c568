package github

import "testing"

func TestMemoryHasAnEnd(t *testing.T) {
	m := newMemory[int, string]()
	for i := range 3 * maxKnown {
		m.put(i, "x")
	}
	if len(m.known) > maxKnown {
		t.Errorf("%d are known", len(m.known))
	}
	last := 3*maxKnown - 1
	if v, ok := m.take(last); v != "x" || !ok {
		t.Errorf("take = %q, %v", v, ok)
	}
	if v, ok := m.take(last); ok || m.get(last) != "" {
		t.Errorf("take again = %q, %v", v, ok)
	}
}
