package git

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/builder/require"
)

func TestOpenDiscovers(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a/b/c": "1"})
	linked := filepath.Join(realTemp(t), "linked")
	cli(t, dir, "worktree", "add", "--quiet", "--detach", linked)
	link := filepath.Join(realTemp(t), "symlink")
	if err := os.Symlink(filepath.Join(dir, "a"), link); err != nil {
		t.Fatal(err)
	}
	_, bare := newBare(t)
	common := filepath.Join(dir, ".git")
	cases := []struct{ name, path, commonDir, workTree string }{
		{"work tree", dir, common, dir},
		{"below it", filepath.Join(dir, "a/b"), common, dir},
		{"git folder", common, common, dir},
		{"through a link", link, common, dir},
		{"linked work tree", filepath.Join(linked, "a"), common, linked},
		{"bare", bare, bare, ""},
		{"inside bare", filepath.Join(bare, "refs"), bare, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, c.path)
			if r.CommonDir() != c.commonDir || r.WorkTree() != c.workTree {
				t.Errorf("Open(%s) = common %s, work tree %q; want %s, %q", c.path, r.CommonDir(), r.WorkTree(), c.commonDir, c.workTree)
			}
		})
	}
}

func TestOpenNothing(t *testing.T) {
	empty := t.TempDir()
	for _, path := range []string{empty, filepath.Join(empty, "absent")} {
		if _, err := Open(t.Context(), path); !errors.Is(err, ErrNotRepository) {
			t.Errorf("Open(%s) = %v, want ErrNotRepository", path, err)
		}
	}
}

func TestOpenRefusesFormats(t *testing.T) {
	cases := map[string]string{
		"[core]\nrepositoryformatversion = 1\n[extensions]\nobjectFormat = sha256\n": "sha256",
		"[core]\nrepositoryformatversion = 1\n[extensions]\nrefStorage = reftable\n": "reftable",
		"[core]\nrepositoryformatversion = 1\n[extensions]\nshiny = true\n":          "shiny",
		"[core]\nrepositoryformatversion = 2\n":                                      "version 2",
		"[core]\nrepositoryformatversion = 1\n[extensions]\nworktreeConfig = true\n": "",
		"[core]\nrepositoryformatversion = 0\n[extensions]\nshiny = true\n":          "",
	}
	for config, refused := range cases {
		_, dir := newBare(t)
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), dir)
		if refused == "" && err != nil || refused != "" && (!errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), refused)) {
			t.Errorf("Open with %q = %v, want refusal naming %q", config, err, refused)
		}
	}
}

func TestOpenForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		require.Have(t, "root", errors.New("only root can give files away"))
	}
	_, dir := newWork(t, map[string]string{"a": "1"})
	const stranger = 54321
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, stranger, stranger))
	})
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	_, err = Open(t.Context(), dir)
	var owner *OwnerError
	if !errors.As(err, &owner) || owner.Path != dir || owner.Owner != "uid 54321" {
		t.Fatalf("Open(%s) = %v, want *OwnerError", dir, err)
	}
	for _, part := range []string{dir, "uid 54321", "git config --global --add safe.directory " + dir} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	for value, accepted := range map[string]bool{
		dir: true, "*": true, filepath.Dir(dir) + "/*": true, dir + "x": false, "*\n\tdirectory =": false,
	} {
		config := "[safe]\n\tdirectory = " + value + "\n"
		if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := Open(t.Context(), dir)
		if (err == nil) != accepted {
			t.Errorf("Open with safe.directory = %q: %v, want accepted %v", value, err, accepted)
		}
		if err == nil {
			if _, err := r.Changes(t.Context()); err != nil {
				t.Errorf("Changes in a repository declared safe: %v", err)
			}
		}
	}
}
