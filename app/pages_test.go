package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/web/page"
)

// whole are the lines of a log as they are shown, from its bytes.
func whole(text string) (lines []string) {
	c := page.Cutter{Place: page.Place{Number: 1}}
	for _, line := range c.Take([]byte(text), true) {
		lines = append(lines, fmt.Sprint(line.Number, line.Shown()))
	}
	return lines
}

// Whoever follows a log and is cut off again and again sees each of its lines once,
// and all of them.
func TestLogStreamResumes(t *testing.T) {
	first, second := newGate(t), newGate(t)
	k := newKiosk(t, map[string]string{"talk": `steps:
- type: run
  description: first
  script: |
    i=0; while [ $i -lt 300 ]; do printf '\033[3%dmline %d\033[0m <i>\342\200\256\n' $((i % 8)) $i; i=$((i+1)); done
    printf 'half a line'
    read go <` + first.path + `
    printf ', and the other half\n'
    head -c 200000 /dev/zero | tr '\0' x; echo
    i=0; while [ $i -lt 300 ]; do echo "more $i"; i=$((i+1)); done
    read go <` + second.path + `
- type: run
  description: second
  script: |
    i=0; while [ $i -lt 100 ]; do echo "last $i"; i=$((i+1)); done
    printf 'without an end'
`})
	id := k.start("talk")
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	var got []string
	steps := map[string]bool{}
	for last, ended, drops := "", false, 0; !ended; drops++ {
		left := 1 + random.IntN(4) // events until the connection breaks
		k.events("/builds/"+id+"/log/s0t0/live?from=0-1", last, func(e event) bool {
			if e.kind == "end" {
				ended = true
				return true
			}
			var piece struct {
				Name  string
				Lines []struct {
					N int
					T [][2]string
				}
			}
			if err := json.Unmarshal([]byte(e.data), &piece); err != nil {
				t.Fatalf("%q: %v", e.data, err)
			}
			steps[piece.Name] = true
			for _, line := range piece.Lines {
				var spans []page.Span
				for _, s := range line.T {
					spans = append(spans, page.Span{Class: s[0], Text: s[1]})
				}
				got = append(got, fmt.Sprint(line.N, spans))
			}
			last = e.id
			if len(got) >= 300 {
				first.open()
			}
			if len(got) >= 602 {
				second.open()
			}
			left--
			return left == 0
		})
	}
	status, text := k.open("/builds/" + id + "/log/s0t0/raw")
	want := whole(text)
	if status != http.StatusOK || len(want) != 703 {
		t.Fatalf("the raw log: %d, with %d lines", status, len(want))
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("seed %d: of %d lines, the one at %d of %d differs: %.200q", seed, len(want), i, len(got), got[min(i, len(got)-1)])
		}
	}
	if !steps["run first"] || steps["Output"] {
		t.Errorf("the lines are of the steps %v", steps)
	}
}

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
