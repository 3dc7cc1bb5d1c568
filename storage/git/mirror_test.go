package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var local = FetchOptions{Transports: []string{"file"}}

func TestFetchMirror(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a": "1"})
	cli(t, dir, "branch", "gone")
	cli(t, dir, "tag", "v1")
	cli(t, dir, "branch", "-M", "trunk")
	target := filepath.Join(realTemp(t), "mirrors", "m.git")
	r, err := FetchMirror(t.Context(), dir, target, local)
	if err != nil {
		t.Fatal(err)
	}
	state := move(t, r, testRef, Zero, "our own")
	head := commitFiles(t, dir, map[string]string{"a": "2"})
	cli(t, dir, "branch", "-D", "gone")
	cli(t, dir, "tag", "-f", "v1")
	cli(t, dir, "update-ref", testRef, "HEAD") // a forged result at the source
	if r, err = FetchMirror(t.Context(), "file://"+dir, target, local); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%s refs/heads/trunk\n%s refs/tags/v1\n%s %s", head, head, state, testRef)
	if got := cli(t, target, "for-each-ref", "--format=%(objectname) %(refname)"); got != want {
		t.Errorf("refs:\n%s\nwant\n%s", got, want)
	}
	if branch, h, err := r.Head(); branch != "refs/heads/trunk" || h != head || err != nil {
		t.Errorf("Head = %s, %s, %v", branch, h, err)
	}
	fsck(t, target)
}

func TestFetchMirrorRefusals(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a": "1"})
	canary := filepath.Join(realTemp(t), "canary")
	urls := []string{
		"", "--upload-pack=touch " + canary, "-oProxyCommand=touch " + canary, "ext::touch " + canary,
		"ext::sh -c touch% " + canary, "ssh://-oProxyCommand=touch " + canary + "/x", "-u" + canary,
		"fd::0", "file://" + dir, dir, "git://localhost/x", "http://127.0.0.1:1/x", "a\nb", "https://a/\u202eb",
	}
	for _, url := range urls {
		if _, err := FetchMirror(t.Context(), url, filepath.Join(realTemp(t), "m"), FetchOptions{}); err == nil {
			t.Errorf("FetchMirror(%q) succeeded", url)
		}
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("a URL ran a command")
	}
	_, err := FetchMirror(t.Context(), "https://user:hunter2@127.0.0.1:1/x", filepath.Join(realTemp(t), "m"), FetchOptions{})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v must not show the password", err)
	}
	if _, err := checkSource("https://[::1]:8080/x", nil); err != nil {
		t.Errorf("an IPv6 address is refused: %v", err)
	}
	if _, err := checkSource(dir, []string{"ext"}); err == nil {
		t.Error("the transport ext is accepted")
	}
}

// TestFetchMirrorRefusesFaulty: objects that git's check refuses stay out unless
// asked for.
func TestFetchMirrorRefusesFaulty(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a": "1"})
	blob := cliInput(t, dir, "x", "hash-object", "-w", "--stdin")
	tree := cliInput(t, dir, "100644 blob "+blob+"\t.git\x00", "mktree", "-z")
	cli(t, dir, "update-ref", "refs/heads/evil", cli(t, dir, "commit-tree", "-m", "evil", tree))
	if _, err := FetchMirror(t.Context(), dir, filepath.Join(realTemp(t), "m"), local); err == nil || !strings.Contains(err.Error(), "hasDotgit") {
		t.Errorf("FetchMirror = %v, want git's check to refuse", err)
	}
	faulty := FetchOptions{Transports: local.Transports, AcceptFaulty: true}
	if _, err := FetchMirror(t.Context(), dir, filepath.Join(realTemp(t), "m"), faulty); err != nil {
		t.Errorf("FetchMirror with AcceptFaulty = %v", err)
	}
}

// TestArguments passes hostile names to everything that takes one: none may be
// taken for an option or a command.
func TestArguments(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	canary := filepath.Join(realTemp(t), "canary")
	h := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	for i := range 300 {
		evil := []string{
			"--upload-pack=touch " + canary, "--output=" + canary, "-x", "$(touch " + canary + ")", "`touch " + canary + "`",
			"ext::touch " + canary, "-oProxyCommand=touch " + canary, "; touch " + canary, "|touch " + canary, "a\ntouch " + canary,
		}[i%10] + strings.Repeat("x", i/10)
		if ref, commit, err := r.Resolve(evil); err == nil {
			t.Errorf("Resolve(%q) = %s, %s", evil, ref, commit)
		}
		if err := r.Write(t.Context(), nil, []RefUpdate{{"refs/velocity/" + evil, Zero, h}}); err == nil {
			t.Errorf("Write to refs/velocity/%q succeeded", evil)
		}
		if _, err := r.Ref("refs/heads/" + evil); err == nil {
			t.Errorf("Ref(refs/heads/%q) succeeded", evil)
		}
		if _, err := r.Note("refs/notes/"+evil, h); err == nil {
			t.Errorf("Note(refs/notes/%q) succeeded", evil)
		}
		if _, err := r.ReadFile(h, evil, 10); err == nil {
			t.Errorf("ReadFile(%q) succeeded", evil)
		}
		if _, err := checkSource(evil, nil); err == nil && (evil[0] == '-' || strings.HasPrefix(evil, "ext::")) {
			t.Errorf("checkSource(%q) accepted", evil)
		}
	}
	// A folder may be called like an option; it is a path all the same.
	t.Chdir(realTemp(t))
	if err := r.Checkout(t.Context(), "--output=x", h); err != nil {
		t.Errorf("Checkout(--output=x) = %v", err)
	}
	if _, err := os.Stat(canary); !errors.Is(err, os.ErrNotExist) {
		t.Error("a command was run")
	}
}

// TestFetchMirrorRefs: heads of pull requests come as they are asked for, and stay
// when they or their branches are gone at the source; refs of ours are not asked for.
func TestFetchMirrorRefs(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a": "1"})
	base := cli(t, dir, "rev-parse", "HEAD")
	cli(t, dir, "branch", "-M", "main")
	cli(t, dir, "branch", "gone")
	cli(t, dir, "checkout", "-q", "--detach")
	first := commitFiles(t, dir, map[string]string{"a": "2"})
	cli(t, dir, "update-ref", "refs/pull/1/head", "HEAD")
	cli(t, dir, "update-ref", "refs/pull/1/merge", "HEAD")
	cli(t, dir, "update-ref", "refs/pull/2/head", "HEAD")
	cli(t, dir, "checkout", "-q", "main")
	target := filepath.Join(realTemp(t), "m.git")
	options := FetchOptions{Transports: local.Transports, Head: "refs/heads/main", Refs: []string{"refs/pull/1/head", "refs/pull/7/head"}}
	if _, err := FetchMirror(t.Context(), dir, target, options); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%s refs/heads/gone\n%[1]s refs/heads/main\n%s refs/pull/1/head", base, first)
	if got := cli(t, target, "for-each-ref", "--format=%(objectname) %(refname)"); got != want {
		t.Errorf("refs:\n%s\nwant\n%s", got, want)
	}
	cli(t, dir, "branch", "-D", "gone")
	cli(t, dir, "update-ref", "-d", "refs/pull/1/head")
	options.Head = "refs/heads/other"
	r, err := FetchMirror(t.Context(), dir, target, options)
	if err != nil {
		t.Fatal(err)
	}
	want = fmt.Sprintf("%s refs/heads/main\n%s refs/pull/1/head", base, first)
	if got := cli(t, target, "for-each-ref", "--format=%(objectname) %(refname)"); got != want {
		t.Errorf("refs after they were deleted at the source:\n%s\nwant\n%s", got, want)
	}
	if branch, _, err := r.Head(); branch != "refs/heads/other" || err != nil {
		t.Errorf("Head = %s, %v; want the one that was told", branch, err)
	}
	for _, ref := range []string{"refs/heads/main", "refs/tags/v1", "refs/velocity/x/live/1", "refs/notes/velocity", "refs/pull/*/head", "refs/pull/1/head:refs/heads/x", "--all", "refs/pull/1/head\n+refs/x/y:refs/x/y"} {
		if _, err := FetchMirror(t.Context(), dir, target, FetchOptions{Transports: local.Transports, Refs: []string{ref}}); err == nil {
			t.Errorf("FetchMirror of %q succeeded", ref)
		}
	}
}

// TestFetchMirrorCommit: a commit that is on no branch is asked for by its id.
func TestFetchMirrorCommit(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a": "1"})
	cli(t, dir, "branch", "-M", "main")
	cli(t, dir, "checkout", "-q", "--detach")
	apart := commitFiles(t, dir, map[string]string{"a": "2"})
	cli(t, dir, "update-ref", "refs/pull/1/head", "HEAD")
	cli(t, dir, "checkout", "-q", "main")
	cli(t, dir, "config", "uploadpack.allowAnySHA1InWant", "true")
	target := filepath.Join(realTemp(t), "m.git")
	for _, missing := range []Hash{apart, hash(t, strings.Repeat("1", 40))} {
		r, err := FetchMirror(t.Context(), dir, target, FetchOptions{Transports: local.Transports, Commit: missing})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Peel(missing); (err == nil) != (missing == apart) {
			t.Errorf("Peel(%s) = %v", missing, err)
		}
	}
	if got := cli(t, target, "for-each-ref", "--format=%(refname)"); got != "refs/heads/main" {
		t.Errorf("refs: %s", got)
	}
	fsck(t, target)
}
