package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// userConfig is the user's own git configuration for a test.
func userConfig(t *testing.T, content string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gitconfig")
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CONFIG_GLOBAL", path)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
}

func remote(t *testing.T, r *Repository, name string) *Remote {
	t.Helper()
	m, err := r.Remote(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRemoteIsFound(t *testing.T) {
	userConfig(t, "")
	r, dir := newBare(t)
	for _, name := range []string{"", "nowhere", "-x", "--upload-pack=touch x", "ext::sh -c id", "a b"} {
		if m, err := r.Remote(t.Context(), name); err == nil {
			t.Errorf("Remote(%q) = %s", name, m)
		}
	}
	cli(t, dir, "remote", "add", "team/one", "/x")
	if m := remote(t, r, ""); m.String() != "team/one" || m.Key() != "team=2fone" {
		t.Errorf("the only remote = %s, key %s", m, m.Key())
	}
	cli(t, dir, "remote", "add", "two", "/y")
	if _, err := r.Remote(t.Context(), ""); !errors.Is(err, ErrNoRemote) || !strings.Contains(err.Error(), "team/one, two") {
		t.Errorf("of two remotes: %v", err)
	}
	cli(t, dir, "remote", "add", "origin", "/z")
	if m := remote(t, r, ""); m.String() != "origin" || m.Key() != "origin" {
		t.Errorf("among others = %s, key %s", m, m.Key())
	}
	secret, open := remote(t, r, "https://me:pass@example.org/a.git"), remote(t, r, "https://example.org/a.git")
	if strings.Contains(secret.String(), "pass") || secret.Key() != open.Key() {
		t.Errorf("%s has key %s, %s has %s; want no password and one key", secret, secret.Key(), open, open.Key())
	}
	for _, m := range []*Remote{secret, remote(t, r, "../x"), remote(t, r, "a:b")} {
		if err := checkRefName(CopyPrefix + m.Key() + "/notes"); err != nil {
			t.Error(err)
		}
	}
}

// TestRemoteFetchWritesCopies: whatever is configured, a fetch writes below
// CopyPrefix and brings all objects.
func TestRemoteFetchWritesCopies(t *testing.T) {
	userConfig(t, "[fetch]\n\tprune = true\n\tfsckObjects = false\n[protocol \"file\"]\n\tallow = always\n")
	there, thereDir := newBare(t)
	archive := "refs/velocity/abcdef/archive/0000"
	tip := move(t, there, archive, Zero, "one")
	move(t, there, "refs/heads/main", Zero, "main")
	r, dir := newBare(t)
	cli(t, dir, "remote", "add", "origin", thereDir)
	cli(t, dir, "config", "remote.origin.fetch", "+refs/*:refs/remotes/origin/*")
	mine := move(t, r, "refs/velocity/mine00/archive/0000", Zero, "mine")
	m := remote(t, r, "origin")
	refs, err := m.List(t.Context(), "refs/velocity/")
	if diff := cmp.Diff([]Ref{{archive, tip}}, refs); diff != "" || err != nil {
		t.Fatalf("List: %v (-want +got):\n%s", err, diff)
	}
	to := CopyPrefix + m.Key() + "/abcdef/archive/0000"
	if err := m.Fetch(t.Context(), []Copy{{archive, to}}); err != nil {
		t.Fatal(err)
	}
	want := []Ref{{"refs/velocity/mine00/archive/0000", mine}, {to, tip}}
	if got, _, err := r.Refs("refs/"); cmp.Diff(want, got) != "" || err != nil {
		t.Errorf("refs = %v, %v; want %v", got, err, want)
	}
	for _, bad := range []Copy{{archive, "refs/velocity/mine00/archive/0000"}, {archive, "refs/heads/main"}, {"refs/a b", to}, {"-x", to}} {
		if err := m.Fetch(t.Context(), []Copy{bad}); err == nil {
			t.Errorf("Fetch(%v) went well", bad)
		}
	}
}

func TestRemoteFetchChecksObjects(t *testing.T) {
	userConfig(t, "[protocol \"file\"]\n\tallow = always\n")
	_, thereDir := newBare(t)
	empty := cliInput(t, thereDir, "", "hash-object", "-t", "tree", "-w", "--stdin")
	faulty := cliInput(t, thereDir, "tree "+empty+"\nauthor x\ncommitter y\n\nno\n", "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	cli(t, thereDir, "update-ref", "refs/velocity/abcdef/archive/0000", faulty)
	r, _ := newBare(t)
	m := remote(t, r, thereDir)
	err := m.Fetch(t.Context(), []Copy{{"refs/velocity/abcdef/archive/0000", CopyPrefix + m.Key() + "/abcdef/archive/0000"}})
	if err == nil || !strings.Contains(err.Error(), "fsck") {
		t.Errorf("Fetch of a faulty commit: %v", err)
	}
}

func TestRemotePush(t *testing.T) {
	userConfig(t, "[push]\n\tfollowTags = true\n[protocol \"file\"]\n\tallow = always\n")
	there, thereDir := newBare(t)
	r, dir := newWork(t, map[string]string{"a": "1"})
	cli(t, dir, "remote", "add", "--mirror=push", "origin", thereDir)
	cli(t, dir, "tag", "-m", "t", "v1")
	if err := os.WriteFile(filepath.Join(dir, ".git/hooks/pre-push"), []byte("#!/bin/sh\nexit 1\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	const ref, other = "refs/velocity/abcdef/archive/0000", "refs/velocity/abcdef/logs/00000"
	b := r.NewBatch()
	one := oneFile(t, b, "one")
	two := oneFile(t, b, "two", one)
	aside := oneFile(t, b, "aside")
	if err := r.Write(t.Context(), b, []RefUpdate{{"refs/x/two", Zero, two}, {"refs/x/aside", Zero, aside}}); err != nil {
		t.Fatal(err)
	}
	m := remote(t, r, "origin")
	push := func(want []PushResult, pushes ...Push) {
		t.Helper()
		got, err := m.Push(t.Context(), pushes)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Push: %v (-want +got):\n%s", err, diff)
		}
	}
	push([]PushResult{{Ref: ref}, {Ref: other}}, Push{Hash: one, To: ref}, Push{Hash: one, To: other})
	push([]PushResult{{Ref: ref}}, Push{Hash: two, To: ref})
	push([]PushResult{{ref, Behind, "non-fast-forward"}, {Ref: other}}, Push{Hash: aside, To: ref}, Push{Hash: aside, To: other, Replace: true, Old: one})
	push([]PushResult{{other, Behind, "stale info"}}, Push{Hash: one, To: other, Replace: true, Old: two})
	push([]PushResult{{other, Behind, "stale info"}}, Push{Hash: one, To: other, Replace: true})
	want := []Ref{{ref, two}, {other, aside}}
	if got, _, err := there.Refs("refs/"); cmp.Diff(want, got) != "" || err != nil {
		t.Errorf("refs there = %v, %v; want %v alone", got, err, want)
	}

	if err := there.Protect(t.Context()); err != nil {
		t.Fatal(err)
	}
	push([]PushResult{{ref, Refused, "deny updating a hidden ref"}}, Push{Hash: aside, To: ref, Replace: true})
	hook := "#!/bin/sh\nexit 1\n"
	if err := os.WriteFile(filepath.Join(thereDir, "hooks/update"), []byte(hook), 0o777); err != nil {
		t.Fatal(err)
	}
	push([]PushResult{{"refs/heads/v", Refused, "hook declined"}}, Push{Hash: one, To: "refs/heads/v"})
	if _, err := remote(t, r, "/nowhere/at/all").Push(t.Context(), []Push{{Hash: one, To: ref}}); err == nil {
		t.Error("Push to nowhere went well")
	}
	if _, err := m.Push(t.Context(), []Push{{Hash: one, To: "refs/a:b"}}); err == nil {
		t.Error("Push to a ref that is none went well")
	}
}

func FuzzParsePush(f *testing.F) {
	f.Add("To x\n!\tabc:refs/velocity/a/archive/0000\t[rejected] (fetch first)\n*\ta:b\t[new branch]\nDone\n")
	f.Add("!\ta:b\t[remote rejected] (hook declined)\n=\ta:b\t\n \t:\t] (\n")
	f.Fuzz(func(t *testing.T, out string) {
		for _, r := range parsePush(out) {
			if !strings.Contains(out, ":"+r.Ref+"\t") {
				t.Errorf("%q is not in what git printed", r.Ref)
			}
			if r.Outcome == Taken && r.Reason != "" {
				t.Errorf("%+v", r)
			}
		}
	})
}

func FuzzParseListing(f *testing.F) {
	f.Add(strings.Repeat("a", 40) + "\trefs/velocity/abcdef/archive/0000\nx\ty\n")
	f.Fuzz(func(t *testing.T, out string) {
		for _, ref := range parseListing(out, []string{"refs/velocity/"}) {
			if !strings.HasPrefix(ref.Name, "refs/velocity/") || !strings.Contains(out, "\t"+ref.Name) {
				t.Errorf("%v is not in the listing", ref)
			}
		}
	})
}
