package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// A repository keeps its builds under another name and with another owner, and the
// one that takes its old name is another.
func TestGitHubRename(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	w.is(w.push("main", files{"a": ""}), "success")
	w.repo.Rename("earth")
	w.is(w.push("main", files{"b": ""}), "success")

	other := w.hub.CreateRepo(t, "octo/world", forgetest.RepoOptions{})
	w.in.Add(t, other)
	w.serves(other)
	w.is(other.Push(t, "main", forgetest.Change{Author: "octo", Files: w.pipeline()}), "success")

	w.hub.Install(t, "mars")
	w.repo.Transfer("mars")
	w.quiet()
	w.is(w.push("main", files{"c": ""}), "success")
	if n := len(w.mirrors()); n != 2 {
		t.Errorf("there are %d mirrors; want two", n)
	}
	list := w.must("builds", "--repo", w.mirrors()[0])
	if n := strings.Count(list, "succeeded"); n != 3 {
		t.Errorf("%d builds are listed of what was renamed and transferred; want 3:\n%s", n, list)
	}
}

// Who takes the App away, or suspends it, has nothing built; who brings it back finds
// what was built before.
func TestGitHubAccess(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	held := w.push("main", files{"hold": ""})
	w.runs(held)
	w.in.Suspend()
	w.notes("repository is not served any more")
	missed := w.repo.Push(t, "main", forgetest.Change{Author: "octo", Remove: []string{"hold"}})
	w.in.Unsuspend()
	w.servedAgain(2)
	if c := w.is(held, "cancelled"); c.Title != "Canceled: repository not built here any more: the forge does not show it" {
		t.Errorf("title %q", c.Title)
	}

	w.in.Uninstall()
	w.quiet()
	w.in = w.hub.Install(t, "octo", w.repo)
	w.servedAgain(3)
	next := w.push("main", files{"a": ""})
	w.is(next, "success")
	for _, c := range w.hub.Checks(missed) {
		t.Errorf("what was pushed while nobody might look has a check: %s %s", c.Status, c.Conclusion)
	}
	if list := w.must("builds", "--repo", w.mirrors()[0]); !strings.Contains(list, held[:7]) {
		t.Errorf("the build from before is not listed:\n%s", list)
	}

	w.repo.Archive()
	w.quiet()
	if n := strings.Count(w.said.text(), `msg="repository is not served any more"`); n != 3 {
		t.Errorf("it was given up %d times; want that it was suspended, uninstalled and archived", n)
	}
	if served := strings.Contains(w.must("builds", "--repo", w.mirrors()[0]), next[:7]); !served {
		t.Error("what was built of an archived repository is gone")
	}
}

// A repository that the App may build from now on is built from its next push on.
func TestGitHubNewRepository(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	more := w.hub.CreateRepo(t, "octo/more", forgetest.RepoOptions{})
	old := more.Push(t, "main", forgetest.Change{Author: "octo", Files: w.pipeline()})
	topic := more.Push(t, "topic", forgetest.Change{Author: "octo", Files: files{"a": ""}})
	w.in.Add(t, more)
	w.serves(more)
	next := more.Push(t, "main", forgetest.Change{Author: "octo", Files: files{"b": ""}})
	w.is(next, "success")
	for _, sha := range []string{old, topic} {
		if all := w.hub.Checks(sha); len(all) > 0 {
			t.Errorf("what was there before has checks: %+v", all)
		}
	}
}

// serves waits until a repository is served.
func (w *town) serves(r *forgetest.Repo) {
	w.t.Helper()
	w.notes(`msg="repository is served" repo=` + r.Name())
}

// servedAgain waits until octo/world has come to be served so many times.
func (w *town) servedAgain(times int) {
	w.t.Helper()
	w.wait("serves octo/world again", func() bool {
		return strings.Count(w.said.text(), `msg="repository is served" repo=octo/world`) >= times
	})
}

// mirrors are the server's copies of repositories, the oldest first.
func (w *town) mirrors() (all []string) {
	w.t.Helper()
	folder := filepath.Join(w.home, "state", "repositories")
	found, err := os.ReadDir(folder)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, one := range found {
		all = append(all, filepath.Join(folder, one.Name()))
	}
	return all
}
