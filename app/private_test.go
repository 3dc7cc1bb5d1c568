package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestKeepPrivate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	if err := keepPrivate(path, []byte("one"), os.Link); err != nil {
		t.Fatal(err)
	}
	if err := keepPrivate(path, []byte("two"), os.Link); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second file in its place: %v; want fs.ErrExist", err)
	}
	check := func(want string) {
		t.Helper()
		content, err := os.ReadFile(path)
		if err != nil || string(content) != want {
			t.Errorf("it holds %q, %v; want %q", content, err, want)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("its mode is %v, %v", info.Mode(), err)
		}
		if all, err := os.ReadDir(folder); err != nil || len(all) != 1 {
			t.Errorf("the folder has %v, %v", all, err)
		}
	}
	check("one")
	if err := keepPrivate(path, []byte("three"), os.Rename); err != nil {
		t.Fatal(err)
	}
	check("three")
}
