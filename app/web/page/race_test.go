//go:build race

package page

// raced is whether the race detector looks on, which makes drawing ten times slower.
const raced = true
