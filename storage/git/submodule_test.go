package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSubmodulesOfACommit(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1", ".gitmodules": "" +
		"[submodule \"z.y\"]\n\tpath = vendor/z\n\turl = ../z # why\n\tupdate = !touch canary\n" +
		"[Submodule \"a\"]\n\tURL = \"-x; y\"\n\tpath = b c\n" +
		"[submodule \"gone\"]\n\tpath = gone\n\turl = ../gone\n[core]\n\tpath = x\n[submodule]\n\trecurse = true\n"})
	h := hash(t, strings.Repeat("12", 20))
	for _, path := range []string{"vendor/z", "b c"} {
		cli(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+h.String()+","+path)
	}
	cli(t, dir, "commit", "-q", "-m", "x")
	got, err := r.Submodules(t.Context(), hash(t, cli(t, dir, "rev-parse", "HEAD")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Submodule{{"b c", h, "-x; y"}, {"vendor/z", h, "../z"}}, got); diff != "" {
		t.Errorf("submodules (-want +got):\n%s", diff)
	}
	_, other := newWork(t, map[string]string{"other": "1"})
	absent := hash(t, cli(t, other, "rev-parse", "HEAD"))
	if _, err := r.Submodules(t.Context(), absent); !errors.Is(err, ErrObjectNotFound) || errors.Is(err, ErrSubmodules) {
		t.Errorf("of a commit that is not here: %v", err)
	}
}

func TestOriginURL(t *testing.T) {
	r, dir := newWork(t, nil)
	for _, want := range []string{"", "https://example.com/a\nb", "-x"} {
		if want != "" {
			cli(t, dir, "config", "remote.origin.url", want)
		}
		if got, err := r.OriginURL(t.Context()); got != want || err != nil {
			t.Errorf("OriginURL = %q, %v; want %q", got, err, want)
		}
	}
	cli(t, dir, "config", "--add", "remote.origin.url", "second")
	if got, err := r.OriginURL(t.Context()); got != "-x" || err != nil {
		t.Errorf("of two: %q, %v; want the first", got, err)
	}
}

// However an address looks, nothing but https and ssh is spoken.
func TestFetchCommitRefusals(t *testing.T) {
	there, dir := newWork(t, map[string]string{"a": "1"})
	_, head, err := there.Head()
	if err != nil {
		t.Fatal(err)
	}
	canary := filepath.Join(realTemp(t), "canary")
	cache := filepath.Join(realTemp(t), "cache")
	for _, url := range []string{
		"", "--upload-pack=touch " + canary, "-oProxyCommand=touch " + canary, "ext::touch " + canary, "fd::0",
		"ssh://-oProxyCommand=touch " + canary + "/x", "file://" + dir, dir, "http://127.0.0.1:1/x", "git://127.0.0.1:1/x", "a\nb",
	} {
		if _, err := FetchCommit(t.Context(), url, cache, head); err == nil {
			t.Errorf("FetchCommit(%q) went well", url)
		}
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("an address ran a command")
	}
	if r, err := Open(t.Context(), cache); err == nil {
		if _, err := r.Commit(head); err == nil {
			t.Error("the commit was fetched")
		}
	}
}

// A fetch for somebody's commit shows no password and no agent of ours: git and
// what it starts look for them where there are none.
func TestFetchCommitHidesCredentials(t *testing.T) {
	bin := realTemp(t)
	seen := filepath.Join(bin, "seen")
	script := "#!/bin/sh\nenv >> '" + seen + "'; echo \"$@\" >> '" + seen + "'\nexit 1\n"
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("HOME", bin)
	t.Setenv("SSH_AUTH_SOCK", "/run/agent")
	if _, err := FetchCommit(t.Context(), "https://example.com/x", filepath.Join(bin, "cache"), hash(t, strings.Repeat("12", 20))); err == nil {
		t.Fatal("it went well with a git that fails")
	}
	text, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"HOME=/dev/null\n", "SSH_AUTH_SOCK=\n", "IdentityAgent=none\n", "http.followRedirects=false", "protocol.allow=never", "transfer.fsckObjects=true", " --end-of-options https://example.com/x "} {
		if strings.Count(string(text), want) != 2 { // alone, and then all
			t.Errorf("git was started %d times with %q; want 2:\n%s", strings.Count(string(text), want), want, text)
		}
	}
}
