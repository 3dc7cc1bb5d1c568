//go:build linux

// Package chaos runs the whole program as its users do, an architect, builders on
// the other ends of bad networks, and somebody who pushes, and breaks whatever
// can break, again and again, at random:
//
//	VELOCITY_CHAOS=60s go test -v -timeout 20m ./bench/chaos
//
// Then it heals everything, waits until it is quiet, and compares all that was
// recorded with what Velocity promises. docs/faults.md tells how to repeat a run.
package chaos

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/velocity-ci/velocity/builder/require"
)

const (
	durationVariable = "VELOCITY_CHAOS"      // how long things break: 60s, 10m
	seedVariable     = "VELOCITY_CHAOS_SEED" // repeats what a run's hand did
	stuckAfter       = time.Minute           // without the end of a build, with all faults healed
)

// settings reads the variables.
func settings(t *testing.T) (length time.Duration, seed uint64) {
	t.Helper()
	text := os.Getenv(durationVariable)
	if text == "" {
		require.Have(t, "chaos", errors.New(durationVariable+" says for how long things shall break, such as 60s"))
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", durationVariable, err)
	}
	seed = rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	return length, seed
}

// TestChaos is the story of the package's comment.
func TestChaos(t *testing.T) {
	length, seed := settings(t)
	fmt.Printf("chaos for %s; %s=%d repeats it\n", length, seedVariable, seed)
	y := newYard(t, 3)
	hand := &hand{y: y, random: rand.New(rand.NewPCG(seed, 0)), busy: map[*machine]bool{}}
	witness := y.look()
	calm := make(chan struct{})
	pushed := make(chan []push, 1)
	go func() { pushed <- y.pushUntil(calm, rand.New(rand.NewPCG(seed, 1))) }()
	hand.play(time.After(length))
	close(calm)
	pushes := <-pushed
	y.awaitQuiet()
	y.checkLeft()
	witness.end()
	y.endAll()
	y.checkRefs()
	y.checkAgain()
	h := y.recorded()
	h.check(pushes)
	h.report(os.Stdout, pushes, hand.healings)
	for _, in := range slices.Sorted(maps.Keys(y.findings.all)) {
		for _, text := range y.findings.all[in] {
			t.Errorf("%s: %s", in, text)
		}
	}
	if t.Failed() {
		for _, m := range y.machines() {
			t.Logf("%s said\n%s", m.name, m.said(0))
		}
	}
}

// awaitQuiet waits until every push has a build and every build is over, for as
// long as builds end.
func (y *yard) awaitQuiet() {
	for over := -1; ; {
		pushed := len(lines(y.must(y.bare, "git", "for-each-ref", "--format=%(refname)", "refs/heads/")))
		now := 0
		if !eventually(stuckAfter, func() bool { now = y.over(); return now > over || now >= pushed }) {
			y.findings.add("I1", "after everything was healed %d of %d builds are over, and none has ended for %s", now, pushed, stuckAfter)
			return
		}
		if over = now; over >= pushed {
			return
		}
	}
}

// over counts the builds that have ended.
func (y *yard) over() (n int) {
	for _, b := range y.listed(1 << 20) {
		if b.State().Final() {
			n++
		}
	}
	return n
}

// endAll ends all machines as people do.
func (y *yard) endAll() {
	for _, m := range y.machines() {
		if status := m.end(syscall.SIGTERM); status != 0 {
			y.findings.add("process", "%s, told to end, ends with status %d\n%s", m.name, status, m.said(0))
		}
	}
	if left := y.processes(); len(left) > 0 {
		y.findings.add("I7", "after the end of all machines: %v", left)
	}
}

// checkAgain lets one more architect, with one more NATS, read what there is: it
// finds the same builds, and nothing to do.
func (y *yard) checkAgain() {
	before := y.listed(1 << 20)
	y.architect.start()
	y.architect.end(syscall.SIGTERM)
	after := y.listed(1 << 20)
	if len(after) != len(before) {
		y.findings.add("I10", "one more architect makes %d builds of %d", len(after), len(before))
		return
	}
	for i := range before {
		if was, is := encoded(before[i]), encoded(after[i]); string(was) != string(is) {
			y.findings.add("I10", "build %s changes with one more architect:\n%s\n%s", before[i].ID, was, is)
		}
	}
}

// report prints what happened as a table.
func (h *history) report(to io.Writer, pushes []push, healings []healing) {
	var attempts int
	var ends []time.Time
	lost := map[string]int{}
	for _, b := range h.builds {
		ends = append(ends, b.Finished)
		for _, t := range tasks(b) {
			attempts += t.Attempt
			for _, l := range t.Lost {
				lost[brief(l.Reason)]++
			}
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	by := map[string][]time.Duration{}
	for _, heal := range healings {
		if i := slices.IndexFunc(ends, func(end time.Time) bool { return end.After(heal.at) }); i >= 0 {
			by[heal.kind] = append(by[heal.kind], ends[i].Sub(heal.at))
			by["all"] = append(by["all"], ends[i].Sub(heal.at))
		}
	}
	fmt.Fprintf(to, "%d pushes, %d builds, %d attempts, of which %d ran\n", len(pushes), len(h.builds), attempts, len(h.ran))
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "fault\tn\tnext build p50\tp99\n")
	for _, kind := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[kind])
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", kind, len(by[kind]), quantile(by[kind], 50), quantile(by[kind], 99))
	}
	fmt.Fprintf(table, "\t\t\t\nattempt lost\tn\t\t\n")
	for _, reason := range slices.Sorted(maps.Keys(lost)) {
		fmt.Fprintf(table, "%s\t%d\t\t\n", reason, lost[reason])
	}
	fmt.Fprintf(table, "\t\t\t\ninvariant\tviolations\t\t\n")
	for _, in := range invariants {
		fmt.Fprintf(table, "%s\t%d\t%s\n", in.name, len(h.y.findings.all[in.name]), in.says)
	}
	_ = table.Flush() // nobody is left to tell
}

// brief is a reason without the places in it: its first and its last part.
func brief(reason string) string {
	parts := strings.Split(reason, ": ")
	if len(parts) < 3 {
		return reason
	}
	return parts[0] + ": … " + parts[len(parts)-1]
}

// quantile is the smallest of sorted times that percent of them do not exceed.
func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)*percent+99)/100-1].Round(time.Millisecond)
}
