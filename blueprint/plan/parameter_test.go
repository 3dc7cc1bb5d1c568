package plan

import "testing"

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"feature/Über X": "feature---ber-x", "..-a_b.1-": "a_b.1", "": "", "$(x)": "x", "Ⅷ\xff": "", "main": "main",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q; want %q", in, got, want)
		}
	}
}
