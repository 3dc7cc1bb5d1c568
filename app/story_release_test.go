package app_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// releaseMissing says what keeps stories from installing a release on a machine: the
// folder that .ci/release-check makes, or the files that .ci/tree makes.
func releaseMissing() error {
	_, err := os.Stat(filepath.Join(os.Getenv("VELOCITY_RELEASE"), "SHA256SUMS"))
	_, none := os.Stat(os.Getenv("VELOCITY_TREE"))
	return errors.Join(err, none)
}

// installMissing says that nobody asked for the part of a story that unpacks all
// modules and compiles them: it takes a minute or more, and a GB.
func installMissing() error {
	if os.Getenv("VELOCITY_INSTALL") == "" {
		return errors.New("VELOCITY_INSTALL is not set")
	}
	return nil
}

// machine is a command of scripts, `machine`: it boots a Debian with systemd, in which
// nobody has heard of us, as the container $MACHINE, which is there until the script
// ends. It has no network but its own. What systemd does for services takes the right
// to mount, and control groups.
func machine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: machine")
	}
	name := "velocity-machine-" + strings.ToLower(rand.Text())
	ts.Setenv("MACHINE", name)
	ts.Check(ts.Exec("docker", "import", os.Getenv("VELOCITY_TREE"), name))
	ts.Defer(func() { ts.Check(ts.Exec("docker", "image", "rm", "--force", name)) })
	ts.Defer(func() { ts.Check(ts.Exec("docker", "rm", "--force", name)) })
	ts.Check(ts.Exec("docker", "run", "--detach", "--name", name, "--network", "none", "--cgroupns", "host",
		"--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
		"--tmpfs", "/run", "--tmpfs", "/run/lock", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup", name, "/sbin/init"))
	until(ts, "a machine that is booted", func() error {
		return ts.Exec("docker", "exec", name, "systemctl", "is-active", "multi-user.target")
	})
}
