package hooks

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeProgram writes what it is asked and told to a file.
func fakeProgram(t *testing.T, dir string) (program, record string) {
	t.Helper()
	program, record = filepath.Join(dir, "it's velocity"), filepath.Join(dir, "record")
	text := "#!/bin/sh\necho \"$@\" >>" + quote(record) + "\ncat >>" + quote(record) + "\n"
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return program, record
}

func runHook(t *testing.T, path, in string) {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("hook: %v\n%s", err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	program, record := fakeProgram(t, dir)
	path := filepath.Join(dir, "repo.git", "hooks", "post-receive")
	for range 2 { // our own is replaced
		if err := Install(path, program, "host", false); err != nil {
			t.Fatal(err)
		}
	}
	runHook(t, path, "a b c\n")
	if got, want := read(t, record), "hook post-receive --executor host\na b c\n"; got != want {
		t.Errorf("hook ran %q; want %q", got, want)
	}
}

func TestInstallKeepsAnotherHook(t *testing.T) {
	dir := t.TempDir()
	program, record := fakeProgram(t, dir)
	path := filepath.Join(dir, "post-receive")
	theirs := "#!/bin/sh\ncat >" + quote(filepath.Join(dir, "theirs")) + "; exit 1\n"
	if err := os.WriteFile(path, []byte(theirs), 0o755); err != nil {
		t.Fatal(err)
	}
	var exists *ExistsError
	if err := Install(path, program, "", false); !errors.As(err, &exists) {
		t.Fatalf("Install over another hook = %v; want an *ExistsError", err)
	}
	if read(t, path) != theirs {
		t.Fatal("the other hook was changed")
	}
	for range 2 { // and stays chained when ours is written again
		if err := Install(path, program, "", true); err != nil {
			t.Fatal(err)
		}
	}
	runHook(t, path, "a\n\nb\n")
	if got := read(t, filepath.Join(dir, "theirs")); got != "a\n\nb\n" {
		t.Errorf("their hook read %q", got)
	}
	if got := read(t, record); got != "hook post-receive\na\n\nb\n" {
		t.Errorf("our hook read %q", got)
	}
}
