package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// Whatever fails between GitHub and us: every check ends as its build did, and we do
// not ask more often than there is reason to. VELOCITY_FORGE_PUSHES has more pushes
// with each seed.
func TestGitHubFaults(t *testing.T) {
	pushes, err := strconv.Atoi(os.Getenv("VELOCITY_FORGE_PUSHES"))
	if err != nil {
		pushes = 3
	}
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			faults := forgetest.NewFaults(seed, forgetest.Odds{})
			w := newTown(t, forgetest.GitHubOptions{Faults: faults})
			w.builder("b1", "--executor", "host")
			before := len(w.hub.Calls())
			faults.Set(forgetest.Odds{Refused: 0.1, Unanswered: 0.1, Cut: 0.1})
			faults.Inject(func(r *http.Request) bool { return r.Method == http.MethodPost },
				forgetest.Mishap{}, forgetest.Mishap{Kind: forgetest.Limited, Status: http.StatusTooManyRequests, RetryAfter: time.Second})
			want := map[string]string{}
			for i := range pushes {
				branch := fmt.Sprint("b", i)
				if i%2 == 0 {
					want[w.push(branch, files{branch: ""})] = "success"
				} else {
					want[w.push(branch, files{"broken": branch})] = "failure"
				}
			}
			for sha, conclusion := range want {
				w.is(sha, conclusion)
			}
			if calls := len(w.hub.Calls()) - before; calls > 30*pushes {
				t.Errorf("%d calls for %d pushes", calls, pushes)
			}
		})
	}
}

// What was answered with 202 is done, although the server dies that moment.
func TestGitHubKilled(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	w.stop()
	var all []string
	for i := range 3 {
		kill := w.spawn()
		all = append(all, w.push(fmt.Sprint("b", i), files{"n": fmt.Sprint(i)}))
		if err := w.hub.Hooks.Settle(atHome(t)); err != nil {
			t.Fatal(err)
		}
		kill()
	}
	w.serve()
	for _, sha := range all {
		w.is(sha, "success")
	}
	for _, sha := range all {
		if n := w.recorded(sha); n != 1 {
			t.Errorf("%d builds of %s; want one", n, sha)
		}
	}
}

// recorded is how many builds of a commit the mirror has.
func (w *town) recorded(sha string) int {
	w.t.Helper()
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(w.must("builds", "--json", "--commit", sha, "--repo", w.mirrors()[0])), &all); err != nil {
		w.t.Fatal(err)
	}
	return len(all)
}

// spawn starts a server as a process, which is killed.
func (w *town) spawn() (kill func()) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "velocity", w.args...)
	cmd.Env = append(os.Environ(), "HOME="+w.home)
	cmd.Stdout, cmd.Stderr = w.said, w.said
	w.listens(func() {
		if err := cmd.Start(); err != nil {
			w.t.Fatal(err)
		}
	})
	return func() {
		if err := cmd.Process.Kill(); err != nil {
			w.t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	}
}
