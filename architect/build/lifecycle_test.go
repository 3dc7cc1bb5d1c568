package build

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var edge = regexp.MustCompile(`(?m)^ +(\w+) --> (\w+)(?:: (\w+))?$`)

// diagram reads the edges of one section's diagram in docs/lifecycle.md.
func diagram(t *testing.T, section string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/lifecycle.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("docs/lifecycle.md has no section %s", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var edges []string
	for _, m := range edge.FindAllStringSubmatch(text, -1) {
		edges = append(edges, strings.TrimSpace(fmt.Sprintf("%s %s %s", m[1], m[2], m[3])))
	}
	slices.Sort(edges)
	return edges
}

func TestLifecyclePageTask(t *testing.T) {
	var code []string
	for m, to := range moves {
		code = append(code, fmt.Sprintf("%s %s %s", m.from, to, m.on))
	}
	slices.Sort(code)
	if diff := cmp.Diff(code, diagram(t, "Task")); diff != "" {
		t.Errorf("docs/lifecycle.md and the table of moves differ (-code +page):\n%s", diff)
	}
}

// Every state that a small build can reach is visited, and every change of a
// stage's or the build's state on the way must be in the page, and the reverse.
func TestLifecyclePageStageAndBuild(t *testing.T) {
	req := request(2, 1)
	req.Stages[0].Tasks[1].MayFail = true
	req.Stages[0].Tasks[0].Retry.Times = 1
	req.Stages[1].Tasks[0].Skip = true
	first, _ := New(req, start)
	seen, stages, builds := map[string]bool{}, map[string]bool{}, map[string]bool{}
	todo := []*Build{first}
	for len(todo) > 0 {
		b := todo[0]
		todo = todo[1:]
		for _, next := range successors(b) {
			note(builds, b.State(), next.State())
			for i := range b.Stages {
				note(stages, b.Stages[i].State(), next.Stages[i].State())
			}
			if k := fingerprint(next); !seen[k] {
				seen[k] = true
				todo = append(todo, next)
			}
		}
	}
	for section, code := range map[string]map[string]bool{"Stage": stages, "Build": builds} {
		var edges []string
		for e := range code {
			edges = append(edges, e)
		}
		slices.Sort(edges)
		if diff := cmp.Diff(edges, diagram(t, section)); diff != "" {
			t.Errorf("docs/lifecycle.md, %s, and the code differ (-code +page):\n%s", section, diff)
		}
	}
}

func note(edges map[string]bool, from, to State) {
	if from != to {
		edges[fmt.Sprintf("%s %s", from, to)] = true
	}
}

// successors lists the builds that one move makes of b. What follows from a
// request counts as moves of their own.
func successors(b *Build) []*Build {
	asks := []Move{{Kind: Refuse, Reason: "x"}, {Kind: Canceling}}
	for _, s := range b.Stages {
		for _, t := range s.Tasks {
			for _, on := range Kinds {
				asks = append(asks, Move{Kind: on, Task: t.Key})
			}
		}
	}
	var out []*Build
	for _, ask := range asks {
		live, now := b.Clone(), b.Clone()
		ask.At = start
		moves, _ := live.Do(ask) // the impossible ones make no moves
		for _, m := range moves {
			if _, err := now.Apply(m); err == nil {
				out = append(out, now.Clone())
			}
		}
	}
	return out
}

// fingerprint is the same for builds that behave the same.
func fingerprint(b *Build) string {
	k := fmt.Sprint(b.Started.IsZero(), b.Refused, b.Canceled)
	for _, s := range b.Stages {
		for _, t := range s.Tasks {
			k += fmt.Sprint(" ", t.State, len(t.Retried))
		}
	}
	return k
}
