package app_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whoever follows a build hears how it stands, goes on where they were, and is told
// that it is over.
func TestBuildStreamResumes(t *testing.T) {
	end := newGate(t)
	k := newKiosk(t, map[string]string{"shop": "steps: [{type: run, description: wait, script: 'read go <" + end.path + "'}]\n"})
	id := k.start("shop")
	shows := func(e event, state string) bool {
		var part string
		if err := json.Unmarshal([]byte(e.data), &part); err != nil {
			t.Fatalf("%q: %v", e.data, err)
		}
		return strings.Contains(part, `id="outcome"><span class="state `+state+`"`)
	}
	last := ""
	k.events("/builds/"+id+"/live", "", func(e event) bool {
		if e.kind != "build" || !shows(e, "building") {
			t.Fatalf("the first event is %+v", e)
		}
		last = e.id
		return true
	})
	end.open()
	kinds, states := "", 0
	k.events("/builds/"+id+"/live", last, func(e event) bool {
		kinds += e.kind + " "
		if e.kind == "build" && shows(e, "succeeded") {
			states++
			last = e.id
		}
		return false
	})
	if !strings.HasSuffix(kinds, "build end ") || states == 0 {
		t.Errorf("what followed is %q, with %d that tell of success", kinds, states)
	}
	k.events("/builds/"+id+"/live", last, func(e event) bool { // one that is over is told once more, and its end
		if e.kind == "build" && (e.id != last || !shows(e, "succeeded")) {
			t.Errorf("of a build that is over the stream tells %+v", e)
		}
		return false
	})
}
