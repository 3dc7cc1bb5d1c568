package forge

import "testing"

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"a glpat-abcdefgh_1.01.2x-3 b":      "a *** b",
		"gldt-0123456789 gloas-0123456789":  "*** ***",
		"ghs_12_a.b-c.d, ghp_x ":            "***, *** ",
		"whsec_MfKQ9r8+/a== x":              "*** x",
		"github_pat_11A_b":                  "***",
		"glibc-2.31-13.el8 global-variable": "glibc-2.31-13.el8 global-variable",
		"a\xff\x00b":                        "a\uFFFD\uFFFDb",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q; want %q", in, got, want)
		}
	}
}
