package app_test

import (
	"fmt"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// nowhere is where deliveries go that nobody gets.
func (w *town) nowhere() { w.hub.SetHook("") }

// compare has the server look for what it was not told of: it does when it starts.
func (w *town) compare() {
	w.stop()
	w.serve()
}

// What no webhook told of is found by comparing.
func TestGitHubMissed(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	w.nowhere()
	f := w.onPull()
	f[".velocityci/pipelines/push.yml"] = "on: {push: {}}\nstages: [{name: pack, blueprints: [pack]}]\n"
	pushed := w.push("main", f)
	head := w.push("topic", files{"a": ""})
	pull := w.repo.OpenPull(t, forgetest.PullOptions{Branch: "topic", Author: "octo"})
	w.compare()
	w.check(pushed, "velocity / push", concluded("success"))
	w.check(head, "velocity / push", concluded("success"))
	w.is(head, "success")

	w.nowhere()
	held := w.push("topic", files{"hold": ""})
	w.compare()
	w.runs(held)
	w.nowhere()
	pull.Close("octo")
	w.compare()
	w.is(held, "cancelled")
}

// A delivery that GitHub could not deliver is fetched from its log. A push cannot
// prove it, since that is found anyway: a button does.
func TestGitHubUndelivered(t *testing.T) {
	faults := forgetest.NewFaults(1, forgetest.Odds{})
	w := newTown(t, forgetest.GitHubOptions{Faults: faults})
	w.builder("b1", "--executor", "host")
	sha := w.push("main", files{"a": ""})
	first := w.is(sha, "success")
	w.quiet()
	faults.Set(forgetest.Odds{Undelivered: 1})
	w.hub.RerunCheck(t, first.ID, "octo")
	faults.Set(forgetest.Odds{})
	w.compare()
	second := w.after(first)
	w.compare()
	w.quiet()
	if all := w.hub.Checks(sha); all[len(all)-1].ID != second.ID {
		t.Errorf("one press of a button made %d check runs; want 2", len(all))
	}
}

// However often, late and disordered deliveries come, also to the next process: a
// commit of a ref is built once.
func TestGitHubRepeated(t *testing.T) {
	faults := forgetest.NewFaults(3, forgetest.Odds{Duplicated: 0.7, Delayed: 0.5})
	w := newTown(t, forgetest.GitHubOptions{Faults: faults})
	w.builder("b1", "--executor", "host")
	var all []string
	for i := range 4 {
		branch := fmt.Sprint("b", i)
		all = append(all, w.push(branch, files{"n": branch}))
		w.repo.OpenPull(t, forgetest.PullOptions{Branch: branch, Author: "octo"})
	}
	w.stop()
	w.hub.Hooks.Release()
	w.serve()
	w.hub.Hooks.Release()
	for _, sha := range all {
		w.is(sha, "success")
	}
	if err := w.hub.Hooks.Settle(atHome(t)); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.hub.Hooks.Log() {
		for range 5 {
			w.hub.Hooks.Send(d)
		}
	}
	if err := w.hub.Hooks.Settle(atHome(t)); err != nil {
		t.Fatal(err)
	}
	w.compare()
	w.is(w.push("main", files{"last": ""}), "success") // by then the others are worked off
	for _, sha := range all {
		if n := w.builds(sha, 1); n != 1 {
			t.Errorf("%d builds of %s; want one", n, sha)
		}
	}
}

// Where webhooks never come all is built all the same.
func TestGitHubPolled(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{}, "poll: 10s")
	w.builder("b1", "--executor", "host")
	w.nowhere()
	w.is(w.push("main", files{"a": ""}), "success")
	head := w.push("topic", files{"b": ""})
	w.repo.OpenPull(t, forgetest.PullOptions{Branch: "topic", Author: "octo"})
	w.is(head, "success")
}
