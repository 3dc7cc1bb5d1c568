package build

import "testing"

func TestVoid(t *testing.T) {
	for reason, want := range map[string]bool{
		"": false, "canceled": false, "canceled by octo (github 1)": false, "not approved": false, "it was superseded by 7": false,
		ReasonSuperseded + "k3f9a2-7": true, ReasonClosed: true, ReasonDestroyed: true, ReasonDeleted: true, ReasonLeft + "archived": true,
	} {
		b := &Build{Canceled: reason}
		if b.Void() != want {
			t.Errorf("a build canceled as %q: Void() = %v; want %v", reason, !want, want)
		}
		b.Stages = []Stage{{Tasks: []Task{{State: Succeeded}}}}
		if b.Void() {
			t.Errorf("a build that succeeded before it could be canceled as %q is void", reason)
		}
	}
}
