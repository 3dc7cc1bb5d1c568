package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What git rev-parse --verify makes a commit of, Revision does, and nothing else.
func TestRevisionAsGit(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	first := cli(t, dir, "rev-parse", "HEAD")
	cli(t, dir, "checkout", "--quiet", "-b", "topic/x")
	commitFiles(t, dir, map[string]string{"b": "1"})
	cli(t, dir, "checkout", "--quiet", "main")
	commitFiles(t, dir, map[string]string{"a": "2"})
	cli(t, dir, "merge", "--quiet", "--no-edit", "topic/x")
	cli(t, dir, "tag", "-a", "-m", "x", "v1", first)
	cli(t, dir, "update-ref", "refs/remotes/origin/topic", first)
	cli(t, dir, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/topic")
	described := cli(t, dir, "describe", "--long", "HEAD")
	for _, rev := range []string{
		"HEAD", "HEAD~1", "HEAD~", "HEAD^2", "HEAD^2~1", "HEAD^^", "@~2", "main~1", "topic/x^", "v1^{commit}", "v1^{}", "v1~0",
		"refs/heads/main~1", "heads/main", "tags/v1", "remotes/origin/topic", "origin", first[:9] + "^0", first + "~0", described,
		"HEAD@{1}", "HEAD@{0}", "@{1}", "main@{1}", "@{-1}", "HEAD@{1 second ago}", "HEAD@{2020-01-01 00:00:00}", "ORIG_HEAD",
		"HEAD~9", "HEAD^3", "HEAD^1^2", "main@{99}", "main@{upstream}", "v1^{blob}", "nothing~1", "HEAD..main", "HEAD -1", " HEAD", "",
		first + " commit 7", "main\nmain~1", "main~1\x00",
	} {
		want, wantErr := "", error(nil)
		if strings.ContainsRune(rev, 0) {
			wantErr = errors.New("no argument can have it")
		} else if want, wantErr = tryCLI(dir, "", "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}"); wantErr == nil {
			want = want[strings.LastIndexByte(want, '\n')+1:] // some releases print the option, too
		}
		got, err := r.Revision(t.Context(), rev)
		if (err == nil) != (wantErr == nil) || err == nil && got.String() != want {
			t.Errorf("Revision(%q) = %s, %v; git says %s, %v", rev, got, err, want, wantErr)
		}
		if err != nil && !errors.Is(err, ErrRefNotFound) {
			t.Errorf("Revision(%q) = %v; want ErrRefNotFound", rev, err)
		}
	}
	if got, err := r.Revision(t.Context(), "HEAD^{tree}"); err == nil || errors.Is(err, ErrRefNotFound) {
		t.Errorf("Revision of a tree = %s, %v; want that it is none", got, err)
	}
}

// Of what may be meant as an option or as a search git is never asked.
func TestRevisionRefusesUnasked(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	asked := filepath.Join(t.TempDir(), "asked")
	fake := t.TempDir()
	if err := os.WriteFile(filepath.Join(fake, "git"), []byte("#!/bin/sh\necho \"$@\" >>"+asked+"\ncat >>"+asked+"\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", fake+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, rev := range []string{
		"", "-", "--all", "-x~1", "--output=" + dir, ":/subject", ":a", "HEAD^{/subject}", "main~1\nmain", "main\x00", "main~\x7f", "\xff~1", strings.Repeat("x", 1025),
	} {
		if h, err := r.Revision(t.Context(), rev); !errors.Is(err, ErrRefNotFound) {
			t.Errorf("Revision(%.20q) = %s, %v; want ErrRefNotFound", rev, h, err)
		}
	}
	if text, err := os.ReadFile(asked); err == nil {
		t.Errorf("git was asked:\n%s", text)
	}
	if h, err := r.Revision(t.Context(), "nothing~1"); !errors.Is(err, ErrRefNotFound) {
		t.Errorf("Revision = %s, %v; want ErrRefNotFound", h, err)
	}
	text, err := os.ReadFile(asked)
	line, input, _ := strings.Cut(string(text), "\n")
	if err != nil || strings.Contains(line, "nothing") || input != "nothing~1\n" {
		t.Errorf("git was asked %q, %v; want the text on its input alone", text, err)
	}
}

// Who does not wait any more is not answered.
func TestRevisionCanceled(t *testing.T) {
	r, _ := newWork(t, map[string]string{"a": "1"})
	r.asking <- struct{}{} // somebody else asks
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if _, err := r.Revision(ctx, "HEAD~0"); !errors.Is(err, gone) {
		t.Errorf("Revision = %v; want that it was canceled", err)
	}
	<-r.asking
	if _, err := r.Revision(t.Context(), "HEAD~0"); err != nil {
		t.Errorf("Revision after it = %v", err)
	}
}
