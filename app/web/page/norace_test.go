//go:build !race

package page

// raced is whether the race detector looks on.
const raced = false
