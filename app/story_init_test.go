package app_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// toolMissing says what keeps stories with a language's tool from running. The tool
// is asked: what lies in PATH may only be a pointer to one that is not installed.
func toolMissing(name string, version string) func() error {
	return func() error {
		if out, err := exec.Command(name, version).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s", name, version, err, out)
		}
		return nil
	}
}

// toolchain is a command of scripts, `toolchain`: languages' tools find what of theirs
// lies in the machine's home folder, which is not the script's, and no network.
func toolchain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: toolchain")
	}
	home, err := os.UserHomeDir() // the script's HOME is in its own environment only
	ts.Check(err)
	ts.Check(ts.Exec("go", "telemetry", "off")) // a process of its own, that outlives the script
	for name, value := range map[string]string{
		"GOPROXY": "off", "GOTOOLCHAIN": "local",
		"RUSTUP_HOME":       cmp.Or(os.Getenv("RUSTUP_HOME"), filepath.Join(home, ".rustup")),
		"CARGO_NET_OFFLINE": "true", "npm_config_offline": "true", "npm_config_update_notifier": "false",
		"PYTHONDONTWRITEBYTECODE": "1", // a step's broken code must not be hidden by what it was compiled to
	} {
		ts.Setenv(name, value)
	}
}
