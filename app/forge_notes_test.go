package app_test

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// gitAs runs git as somebody whose password for the server is a token; "" is nobody.
func (w *town) gitAs(token, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(w.t.Context(), "git", append([]string{"-C", dir, "-c", "credential.helper="}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if token != "" && bytes.Contains(out, []byte(token)) {
		w.t.Errorf("git %q says the token: %s", args, out)
	}
	return string(out), err
}

// at is where the server has a repository, with a token in the address.
func (w *town) at(name, token string) string {
	w.t.Helper()
	u, err := url.Parse(w.url + "/git/" + name)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		u.User = url.UserPassword("reader", token)
	}
	return u.String()
}

// sees reports what git shows of a repository at the server; ok is false if it was
// refused.
func (w *town) sees(name, token string) (refs string, ok bool) {
	refs, err := w.gitAs("", w.t.TempDir(), "ls-remote", w.at(name, token))
	return refs, err == nil
}

var apiToken = regexp.MustCompile(`vla_\w+`)

// token makes an API token.
func (w *town) token(args ...string) string {
	w.t.Helper()
	return apiToken.FindString(w.must(append(append([]string{"token", "create", "ann"}, args...), "--config", filepath.Join(w.home, "server.yml"))...))
}

// Who may read a repository on the forge has its results by plain git, and by
// velocity fetch, from the server.
func TestResultsFromTheServer(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{}, "public: true")
	w.repo.Privatize()
	w.repo.Role("ann", "read")
	contents := map[string]string{"contents": "read"}
	ann := w.hub.PersonalToken("ann", contents)
	w.builder("b1", "--executor", "host")
	sha := w.repo.Push(t, "main", forgetest.Change{Author: "octo", Files: map[string]string{"a": "1"}})
	w.check(sha, defaultCheck, concluded("success"))
	w.inGit(sha)

	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := w.gitAs(ann, t.TempDir(), "clone", "--quiet", strings.Replace(w.repo.CloneURL(), "://", "://ann:"+ann+"@", 1), clone); err != nil {
		t.Fatalf("clone: %v %s", err, out)
	}
	if out, err := w.gitAs("", clone, "fetch", "--quiet", w.at("octo/world", ann), "refs/notes/velocity:refs/notes/velocity"); err != nil {
		t.Fatalf("fetch of notes: %v %s", err, out)
	}
	if note, err := w.gitAs(ann, clone, "notes", "--ref=velocity", "show", sha); err != nil || !strings.Contains(note, "default: succeeded") {
		t.Errorf("the note of the commit: %q, %v", note, err)
	}
	w.fetches(clone, w.at("octo/world", w.token("--rights", "read", "--repository", "octo/world")))

	refs, _ := w.sees("octo/world", ann)
	if hidden := regexp.MustCompile(`(?m)/(?:desk|inbox|live|seq|quarantine)(?:/|$)|refs/pull`).FindString(refs); hidden != "" {
		t.Errorf("%s is shown:\n%s", hidden, refs)
	}
	if out, err := w.gitAs("", clone, "push", w.at("octo/world", ann), "HEAD:refs/notes/velocity"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("push to the server: %v %s", err, out)
	}
	w.in.Add(t, w.hub.CreateRepo(t, "octo/other", forgetest.RepoOptions{}))
	w.wait("serves octo/other", func() bool { return strings.Contains(w.said.text(), "repo=octo/other key=") })
	w.refuses("octo/world", map[string]string{
		"nobody": "", "nonsense": "nonsense", "a stranger": w.hub.PersonalToken("mallory", contents),
		"a token for another repository": w.token("--rights", "read", "--repository", "octo/other"),
		"the token of an App's hook":     w.hub.HookSecret(),
	})
	w.repo.Role("ann", "")
	w.refuses("octo/world", map[string]string{"who was let in before": w.hub.PersonalToken("ann", contents)})

	w.repo.Role("ann", "read")
	w.repo.Rename("earth")
	w.wait("renames", func() bool { return strings.Contains(w.said.text(), "repository renamed") })
	w.refuses("octo/world", map[string]string{"a reader, by the former name": ann})
	if _, ok := w.sees("octo/earth", ann); !ok {
		t.Error("a reader is refused by the new name")
	}

	w.repo.Publicize()
	ctx := atHome(t)
	for {
		if refs, ok := w.sees("octo/earth", ""); ok {
			if !strings.Contains(refs, "refs/notes/velocity") {
				t.Errorf("everybody sees of a public repository:\n%s", refs)
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatal("a public repository is never shown to everybody")
		}
	}
	if strings.Contains(w.said.text(), ann) {
		t.Error("the server's log has the token of a reader")
	}
}

// inGit waits until the mirror has a note of a commit. The forge may hear of the build
// before that.
func (w *town) inGit(sha string) {
	w.t.Helper()
	for ctx := atHome(w.t); ; {
		if _, err := w.gitAs("", w.mirrors()[0], "notes", "--ref=velocity", "show", sha); err == nil {
			return
		}
		if ctx.Err() != nil {
			w.t.Fatalf("there is never a note of %s", sha)
		}
	}
}

// fetches brings builds and logs from the server into a clone, by velocity fetch.
func (w *town) fetches(clone, from string) {
	w.t.Helper()
	for _, step := range []struct{ args, want string }{
		{"fetch --logs " + from, "1 other store; 2 blocks of builds new or changed"},
		{"builds", "succeeded"},
		{"logs 1 unit", "unit"},
	} {
		var out bytes.Buffer
		if status := run(w.t.Context(), w.home, "", &out, append(strings.Fields(step.args), "--repo", clone)...); status != 0 || !strings.Contains(out.String(), step.want) {
			w.t.Errorf("velocity %s ended with %d: %s; want %q", step.args, status, &out, step.want)
		}
	}
}

// refuses wants nobody of a list to be shown anything.
func (w *town) refuses(name string, who map[string]string) {
	w.t.Helper()
	for what, token := range who {
		if refs, ok := w.sees(name, token); ok {
			w.t.Errorf("%s sees of %s:\n%s", what, name, refs)
		}
	}
}

// Notes of builds are pushed to the forge with the operator's own token, and nothing
// else is.
func TestResultsOnTheForge(t *testing.T) {
	w := foundTown(t, forgetest.GitHubOptions{})
	w.settle()
	w.repo.Privatize()
	w.repo.Role("ops", "write")
	token := w.hub.PersonalToken("ops", map[string]string{"contents": "write"})
	w.keep("push", token)
	w.args = append(w.args, "--github-publish-token", filepath.Join(w.home, "push"))
	w.in = w.hub.Install(t, "octo", w.repo)
	if _, err := w.repo.Bare().Commit("refs/notes/velocity", "", forgetest.Change{Files: map[string]string{"0": "somebody's"}}); err != nil {
		t.Fatal(err)
	}
	before, err := w.repo.Bare().Resolve("refs/notes/velocity")
	if err != nil {
		t.Fatal(err)
	}
	w.serve()
	w.wait("serves octo/world", func() bool { return strings.Contains(w.said.text(), "repository is served") })
	w.builder("b1", "--executor", "host")
	sha := w.repo.Push(t, "main", forgetest.Change{Author: "octo", Files: map[string]string{"a": "1"}})
	w.check(sha, defaultCheck, concluded("success"))
	if _, err := w.hub.WaitCall(atHome(t), func(c forgetest.Call) bool {
		return c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/git-receive-pack") && c.Status == http.StatusOK
	}); err != nil {
		t.Fatal(err)
	}
	refs, err := w.repo.Bare().Refs("refs/")
	if err != nil || len(refs) != 2 || refs["refs/heads/main"] != sha {
		t.Errorf("the forge has %v, %v; want notes, and main where it was", refs, err)
	}
	if after := refs["refs/notes/velocity"]; after == before || !w.repo.Bare().IsAncestor(before, after) {
		t.Errorf("notes went from %s to %s", before, after)
	}
	if note, err := w.gitAs(token, w.repo.Bare().Dir(), "notes", "--ref=velocity", "show", sha); err != nil || !strings.Contains(note, "default: succeeded") {
		t.Errorf("the note there: %q, %v", note, err)
	}
	if strings.Contains(w.said.text(), token) {
		t.Error("the server's log has the token")
	}
}
