package plan

// The bounds of a pipeline's priority; 0 is usual. A plan has none: which one
// counts is what the default branch says when a task waits, whatever the planned
// commit says itself.
const (
	MinPriority = -10
	MaxPriority = 10
)
