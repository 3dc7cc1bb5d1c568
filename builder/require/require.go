// Package require decides what happens when a test needs something the machine
// does not have. Without it such a test skips, saying why; when VELOCITY_REQUIRE
// names it, as CI does, the same test fails, so that a skip cannot hide there.
package require

import (
	"os"
	"slices"
	"strings"
)

// variable lists, separated by commas, what must be present.
const variable = "VELOCITY_REQUIRE"

// TB is the part of testing.TB that Have uses; testscript's T fits it through a
// small adapter in the tests that need one.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Demanded reports whether VELOCITY_REQUIRE names what, such as "docker".
func Demanded(what string) bool {
	return slices.Contains(strings.Split(os.Getenv(variable), ","), what)
}

// Have ends the test unless missing is nil: as a failure when what is demanded,
// as a skip with the reason otherwise.
func Have(tb TB, what string, missing error) {
	tb.Helper()
	switch {
	case missing == nil:
	case Demanded(what):
		tb.Fatalf("%s is required by %s: %v", what, variable, missing)
	default:
		tb.Skipf("needs %s: %v", what, missing)
	}
}
