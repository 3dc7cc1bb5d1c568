package github

import (
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge"
)

// What is put into the address of a request is a name of GitHub's, and nothing else.
func TestNames(t *testing.T) {
	long := strings.Repeat("x", maxCalled)
	for name, want := range map[string]bool{
		"octo": true, "octo-cat_": true, "dependabot[bot]": true, long: true, long + "[bot]": true,
		"": false, "-x": false, "a/b": false, "a b": false, "[bot]": false, "a[bot][bot]": false, "a\n": false, long + "x": false, long + "x[bot]": false,
	} {
		if got := isLogin(name); got != want {
			t.Errorf("isLogin(%q) = %v", name, got)
		}
	}
	for name, want := range map[string]bool{
		"octo/hello.world": true, long + "/" + long: true,
		"octo": false, "octo/..": false, "octo/a/b": false, "octo/": false, "octo/a b": false, long + "x/a": false, "a/x" + long: false,
	} {
		if _, err := within(forge.Repository{Name: name}, "pulls"); (err == nil) != want {
			t.Errorf("within(%q) = %v", name, err)
		}
	}
}
