package app

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/storage/git"
)

// What the configuration says counts more than the remote, whose password stays
// here.
func TestModulesOf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop.git")
	repo, err := git.MakeBare(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		remote     string
		configured repositoryConfig
		want       dispatch.Submodules
	}{
		{"", repositoryConfig{}, dispatch.Submodules{}},
		{"/srv/git/shop.git", repositoryConfig{}, dispatch.Submodules{}},
		{"https://me:hunter2@example.com/shop.git", repositoryConfig{}, dispatch.Submodules{Origin: "https://example.com/shop.git"}},
		{"git@example.com:shop.git", repositoryConfig{Submodules: []string{"github.com"}},
			dispatch.Submodules{Origin: "git@example.com:shop.git", Hosts: []string{"github.com"}}},
		{"git@example.com:shop.git", repositoryConfig{URL: "https://example.org/shop"}, dispatch.Submodules{Origin: "https://example.org/shop"}},
	} {
		if c.remote != "" {
			cmd := exec.Command("git", "config", "-f", filepath.Join(dir, "config"), "remote.origin.url", c.remote)
			cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		got, err := modulesOf(t.Context(), repo, c.configured)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("modulesOf(%s, %+v) = %+v, %v; want %+v", c.remote, c.configured, got, err, c.want)
		}
	}
}
