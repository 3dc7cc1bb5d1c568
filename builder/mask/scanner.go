package mask

// A scanner reads one stream and knows which of its bytes are secret. Positions
// count from the start of the stream.
type scanner struct {
	auto    *automaton
	at      int32
	pos     int64    // bytes read
	threads []thread // occurrences that were broken by a line end
	spans   []span   // secret bytes, in order, apart from each other
}

// A thread follows a folding variant past a line break.
type thread struct {
	at    int32
	start int64
	last  byte // the byte before, if it belongs to a line break
}

// A span is a run of secret bytes, from start up to end.
type span struct {
	start, end int64
	marked     bool // its Mark has been composed
}

// write reads p.
func (s *scanner) write(p []byte) {
	base := s.pos
	begin := s.pos - int64(s.auto.nodes[s.at].depth) // no candidate begins before
	for i := 0; i < len(p); {
		if s.at == root && len(s.threads) == 0 {
			i = s.auto.filter.skip(p, i)
			s.pos = base + int64(i)
			begin = s.pos
			if i == len(p) {
				return
			}
		}
		s.step(p[i])
		i++
		depth := int(s.auto.nodes[s.at].depth)
		if depth < window && depth <= i && s.pos-int64(depth) > begin && len(s.threads) == 0 {
			// What began at begin is nothing. The filter judges the few bytes
			// since faster than the automaton judges the many to come.
			i -= depth
			s.pos -= int64(depth)
			s.at = root
		}
	}
}

// step reads one byte.
func (s *scanner) step(c byte) {
	if c == '\n' || c == '\r' {
		s.breaks(c)
	} else if len(s.threads) > 0 {
		s.follow(c)
	}
	s.at = s.auto.next(s.at, c)
	s.pos++
	if n := s.auto.nodes[s.at].match; n > 0 {
		s.cover(s.pos-int64(n), s.pos)
	}
	for s.auto.nodes[s.at].child == root && s.at != root {
		s.at = s.auto.nodes[s.at].fail // nothing longer begins like this: do not wait for it
	}
}

// breaks looks past a line break: what was on its way goes on behind it.
func (s *scanner) breaks(c byte) {
	kept := s.threads[:0]
	for _, t := range s.threads {
		if t.last == 0 || (t.last == '\r' && c == '\n') {
			t.last = c
			kept = append(kept, t)
		}
	}
	s.threads = kept
	nodes := s.auto.nodes
	for n := nodes[s.at].fold; n != root; n = nodes[nodes[n].fail].fold {
		s.threads = append(s.threads, thread{at: n, start: s.pos - int64(nodes[n].depth), last: c})
	}
}

// follow moves the threads on by one byte that is not part of a line break.
func (s *scanner) follow(c byte) {
	kept := s.threads[:0]
	for _, t := range s.threads {
		at := s.auto.child(t.at, c)
		if t.last == '\r' || at == root || !s.auto.nodes[at].folds {
			continue
		}
		if s.auto.nodes[at].ends {
			s.cover(t.start, s.pos+1)
		}
		if s.auto.nodes[at].child != root {
			kept = append(kept, thread{at: at, start: t.start})
		}
	}
	s.threads = kept
}

// cover marks the bytes from start up to end as secret.
func (s *scanner) cover(start, end int64) {
	merged := span{start: start, end: end}
	for n := len(s.spans); n > 0 && s.spans[n-1].end >= merged.start; n-- {
		last := s.spans[n-1]
		merged.start = min(merged.start, last.start)
		merged.marked = merged.marked || last.marked
		s.spans = s.spans[:n-1]
	}
	s.spans = append(s.spans, merged)
}

// settled is the position up to which no later byte can change anything.
func (s *scanner) settled() int64 {
	at := s.pos - int64(s.auto.nodes[s.at].depth)
	for _, t := range s.threads {
		at = min(at, t.start)
	}
	return at
}

// compose appends to out what the bytes of text, which begins at position from,
// become up to position to, and forgets the spans that ended before.
func (s *scanner) compose(out, text []byte, from, to int64) []byte {
	at := from
	done := 0
	for i := range s.spans {
		sp := &s.spans[i]
		if sp.start >= to {
			break
		}
		if sp.start > at {
			out = append(out, text[at-from:sp.start-from]...)
		}
		if !sp.marked {
			out = append(out, Mark...)
			sp.marked = true
		}
		at = max(at, min(sp.end, to))
		if sp.end < to {
			done = i + 1 // one that ends at to may still grow
		}
	}
	s.spans = append(s.spans[:0], s.spans[done:]...)
	return append(out, text[at-from:to-from]...)
}
