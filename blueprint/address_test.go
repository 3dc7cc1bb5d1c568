package blueprint

import (
	"strings"
	"testing"
)

func TestRefusesAddress(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	for _, c := range []struct {
		use, sum string
		ok       bool
	}{
		{"https://example.com/tool", sum, true}, {"https://example.com:8443/a/b?c", sum, true},
		{"http://example.com/tool", sum, false}, {"file:///bin/sh", sum, false}, {"https://", sum, false},
		{"https://user:pass@example.com/", sum, false}, {"https://exa mple.com/", sum, false},
		{"https://example.com/tool", "", false}, {"https://example.com/tool", strings.ToUpper(sum), false}, {"https://example.com/tool", sum + "00", false},
	} {
		v := &derived{Use: word{Value: c.use, Set: true}, SHA256: word{Value: c.sum, Set: c.sum != ""}}
		if why, hint := v.refusesAddress(); (why == "") != c.ok || (hint == "") != c.ok {
			t.Errorf("use %q, sha256 %q: %q, %q; want refused: %t", c.use, c.sum, why, hint, !c.ok)
		}
	}
}
