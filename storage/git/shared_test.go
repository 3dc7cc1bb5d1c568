package git

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Whatever core.sharedRepository says, our files and folders have the modes of
// git's own.
func TestSharedModesAreThoseOfGit(t *testing.T) {
	for _, setting := range []string{"umask", "group", "all", "true", "false", "1", "2", "0640", "0660", "0600", "0664", "world", "Yes"} {
		t.Run(setting, func(t *testing.T) {
			dir := t.TempDir()
			cli(t, dir, "init", "-q", "--bare", ".")
			cli(t, dir, "config", "core.sharedRepository", setting)
			commit := cli(t, dir, "commit-tree", "-m", "x", cli(t, dir, "hash-object", "-t", "tree", "-w", "/dev/null"))
			cli(t, dir, "update-ref", "refs/git/folder/ref", commit)
			cli(t, dir, "repack", "-d", "-q")

			r := open(t, dir)
			batch := r.NewBatch()
			h := batch.Blob([]byte("x"))
			if err := r.Write(t.Context(), batch, []RefUpdate{{Name: "refs/own/folder/ref", New: h}}); err != nil {
				t.Fatal(err)
			}
			mode := func(path string) fs.FileMode {
				t.Helper()
				found, _ := filepath.Glob(filepath.Join(dir, path))
				if len(found) != 1 {
					t.Fatalf("%s: %v", path, found)
				}
				info, err := os.Stat(found[0])
				if err != nil {
					t.Fatal(err)
				}
				return info.Mode()
			}
			gits, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
			if err != nil {
				t.Fatal(err)
			}
			own, _ := filepath.Glob(filepath.Join(dir, "objects/pack/*.keep"))
			base := own[0][:len(own[0])-len(".keep")]
			for _, path := range gits {
				if path == base+".pack" {
					continue
				}
				for ours, theirs := range map[string]string{
					base + ".pack": path, base + ".idx": path[:len(path)-4] + "idx", base + ".keep": path,
				} {
					rel := func(p string) string { r, _ := filepath.Rel(dir, p); return r }
					if got, want := mode(rel(ours)), mode(rel(theirs)); got != want {
						t.Errorf("%s is %v, git's is %v", filepath.Ext(ours), got, want)
					}
				}
			}
			for ours, theirs := range map[string]string{
				"refs/own":            "refs/git",
				"refs/own/folder":     "refs/git/folder",
				"refs/own/folder/ref": "refs/git/folder/ref",
				"velocity":            "refs/git",
				"velocity/packs.lock": "refs/git/folder/ref",
			} {
				if got, want := mode(ours), mode(theirs); got != want {
					t.Errorf("%s is %v, git's %s is %v", ours, got, theirs, want)
				}
			}
		})
	}
}

func TestSharingThatGitRefuses(t *testing.T) {
	for _, setting := range []string{"0440", "9", "everyone", "World", "-1"} {
		if s, err := parseSharing(setting); err == nil {
			t.Errorf("parseSharing(%q) = %+v; want an error", setting, s)
		}
	}
}
