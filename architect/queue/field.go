package queue

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
)

// A field is the builders during one decision. Slots are only taken while it
// lasts, so whatever is full stays full.
type field struct {
	builders []Builder
	mirrors  map[string][]int // builders by the repositories they mirror
	fitting  map[string]*free // by key of needs
	near     map[near]*free   // of them, those that mirror a repository
}

type near struct{ needs, repository string }

func newField(builders []Builder) *field {
	f := &field{
		builders: slices.Clone(builders), mirrors: map[string][]int{},
		fitting: map[string]*free{}, near: map[near]*free{},
	}
	slices.SortFunc(f.builders, func(a, b Builder) int { return strings.Compare(a.Name, b.Name) })
	for i := range f.builders {
		for _, repository := range f.builders[i].Mirrors {
			f.mirrors[repository] = append(f.mirrors[repository], i)
		}
	}
	return f
}

// open reports whether a builder that fits is free.
func (f *field) open(n Needs) bool { return f.fit(n).top() != nil }

// take uses a slot of the builder that suits best. There must be one.
func (f *field) take(n Needs, repository string) *Builder {
	b := f.closest(n, repository).top()
	if b == nil {
		b = f.fit(n).top()
	}
	b.Busy++
	return b
}

func (f *field) fit(n Needs) *free {
	if f.fitting[n.key] == nil {
		all := make([]int, len(f.builders))
		for i := range all {
			all[i] = i
		}
		f.fitting[n.key] = f.among(all, n)
	}
	return f.fitting[n.key]
}

func (f *field) closest(n Needs, repository string) *free {
	k := near{needs: n.key, repository: repository}
	if f.near[k] == nil {
		f.near[k] = f.among(f.mirrors[repository], n)
	}
	return f.near[k]
}

// among are those of some builders that fit and have a free slot.
func (f *field) among(some []int, n Needs) *free {
	h := &free{field: f}
	for _, i := range some {
		b := &f.builders[i]
		if slots := b.free(); slots > 0 && n.Fits(b.Offer) {
			h.entries = append(h.entries, slot{builder: i, free: slots})
		}
	}
	heap.Init(h)
	return h
}

// free is a heap of builders, the one with the most free slots on top. A builder
// is in several of them, so an entry may be out of date; as slots only get fewer,
// it is enough to look again at what is on top.
type free struct {
	field   *field
	entries []slot
}

type slot struct{ builder, free int }

// top is the builder with the most free slots, nil if all are full.
func (h *free) top() *Builder {
	for len(h.entries) > 0 {
		e := &h.entries[0]
		b := &h.field.builders[e.builder]
		now := b.free()
		switch now {
		case e.free:
			return b
		case 0:
			heap.Pop(h)
		default:
			e.free = now
			heap.Fix(h, 0)
		}
	}
	return nil
}

func (h *free) Len() int { return len(h.entries) }

func (h *free) Less(i, j int) bool {
	a, b := h.entries[i], h.entries[j]
	return cmp.Or(cmp.Compare(b.free, a.free), cmp.Compare(a.builder, b.builder)) < 0
}

func (h *free) Swap(i, j int) { h.entries[i], h.entries[j] = h.entries[j], h.entries[i] }

func (h *free) Push(any) {} // entries are only there from the beginning

func (h *free) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries = h.entries[:last]
	return e
}
