package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A file that appeared meanwhile is kept, and what was written before it goes.
func TestCreateOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "b", "mine.yml")
	if err := os.MkdirAll(filepath.Dir(mine), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	err = create(root, []newFile{{"a/first.yml", "x"}, {"b/mine.yml", "theirs"}})
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a file = %v; want %v", err, fs.ErrExist)
	}
	if text, err := os.ReadFile(mine); err != nil || string(text) != "mine" {
		t.Errorf("the file holds %q, %v; want what it held", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "first.yml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first file is left behind: %v", err)
	}
}
