package git

import (
	"slices"
	"strings"
	"testing"
)

// TestRemoteEnvironment: a remote is reached as its user would, and no variable of
// a hook leads to another repository.
func TestRemoteEnvironment(t *testing.T) {
	passed := map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "/x", "SSH_AUTH_SOCK": "/s", "GIT_SSH_COMMAND": "ssh -v", "GIT_CONFIG_GLOBAL": "/g"}
	kept := map[string]string{"GIT_DIR": "/d", "GIT_WORK_TREE": "/w", "GIT_INDEX_FILE": "/i", "GIT_QUARANTINE_PATH": "/q", "GIT_CONFIG_PARAMETERS": "'a.b=c'", "GIT_CONFIG_COUNT": "1"}
	for name, value := range passed {
		t.Setenv(name, value)
	}
	for name, value := range kept {
		t.Setenv(name, value)
	}
	env := remoteEnvironment(false)
	for name, value := range passed {
		if !slices.Contains(env, name+"="+value) {
			t.Errorf("%s stays behind", name)
		}
	}
	for name := range kept {
		if slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") }) {
			t.Errorf("%s is passed on", name)
		}
	}
	const quiet = "GIT_TERMINAL_PROMPT=0"
	if !slices.Contains(env, quiet) || slices.Contains(remoteEnvironment(true), quiet) {
		t.Error("git may ask without being asked to, or may not")
	}
}
