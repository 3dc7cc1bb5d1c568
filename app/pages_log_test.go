package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

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

// A follower takes what a stream of a log sends, as a page does.
type follower struct {
	last  string   // id of the last event
	lines []string // as whole has them
	steps []string // that they are of, each once
	ended bool
}

func (f *follower) take(e event) error {
	if e.kind == "end" {
		f.ended = true
		return nil
	}
	var piece struct {
		Name  string
		Lines []struct {
			N int
			T [][2]string
		}
	}
	if err := json.Unmarshal([]byte(e.data), &piece); err != nil {
		return fmt.Errorf("%q: %w", e.data, err)
	}
	if !slices.Contains(f.steps, piece.Name) {
		f.steps = append(f.steps, piece.Name)
	}
	for _, line := range piece.Lines {
		var spans []page.Span
		for _, s := range line.T {
			spans = append(spans, page.Span{Class: s[0], Text: s[1]})
		}
		f.lines = append(f.lines, fmt.Sprint(line.N, spans))
	}
	f.last = e.id
	return nil
}

// follow follows a log to its end, over connections that break off after as many
// bytes as cut says. seen hears how many lines have come.
func (f *follower) follow(k *kiosk, path string, cut func() int64, seen func(lines int)) error {
	var wrong error
	for !f.ended {
		err := k.eventsUpTo(path, f.last, cut(), func(e event) bool {
			wrong = f.take(e)
			seen(len(f.lines))
			return f.ended || wrong != nil
		})
		if err != nil || wrong != nil {
			return fmt.Errorf("after %d lines: %w", len(f.lines), errors.Join(err, wrong))
		}
	}
	return nil
}

// same fails unless lines are those that are wanted.
func (f *follower) same(t *testing.T, want []string) {
	t.Helper()
	for i := range max(len(f.lines), len(want)) {
		if i >= len(f.lines) || i >= len(want) || f.lines[i] != want[i] {
			t.Fatalf("of %d lines, the one at %d of %d differs: %.200q", len(want), i, len(f.lines), f.lines[min(i, len(f.lines)-1)])
		}
	}
}

// Whoever follows a log and is cut off again and again, at any byte, sees each of its
// lines once, and all of them.
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
	path := "/builds/" + k.start("talk") + "/log/s0t0"
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	followers := make([]follower, 6)
	var all errgroup.Group
	for i := range followers {
		all.Go(func() error {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			return followers[i].follow(k, path+"/live?from=0-1", func() int64 { return 1 + random.Int64N(1<<random.IntN(19)) }, func(lines int) {
				if lines >= 300 {
					first.open()
				}
				if lines >= 602 {
					second.open()
				}
			})
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	status, text := k.open(path + "/raw")
	want := whole(text)
	if status != http.StatusOK || len(want) != 703 {
		t.Fatalf("the raw log: %d, with %d lines", status, len(want))
	}
	for i := range followers {
		followers[i].same(t, want)
		if steps := strings.Join(followers[i].steps, ", "); steps != "run first, run second" {
			t.Errorf("the lines are of the steps %s", steps)
		}
	}
}
