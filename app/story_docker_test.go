package app_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/velocity-ci/velocity/builder/require"
)

// dockerMissing says, once a test run, what keeps Docker stories from running.
var dockerMissing = sync.OnceValue(func() error {
	if _, err := exec.LookPath("busybox"); err != nil {
		return err
	}
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("docker version: %w: %s", err, out)
	}
	return nil
})

// condition is what scripts can ask for beside testscript's own conditions. What
// VELOCITY_REQUIRE demands and is missing fails the script.
func condition(name string) (bool, error) {
	check, ok := map[string]func() error{
		"release": releaseMissing, "install": installMissing,
		"docker": dockerMissing, "registry": registryMissing, "buildx": buildxMissing, "compose": composeMissing,
		"previous": previousMissing, "mount": mountMissing, "socket": socketMissing, "tree": treeMissing,
		"go": toolMissing("go", "version"), "node": toolMissing("npm", "--version"), "python": toolMissing("python3", "--version"),
		"make": toolMissing("make", "--version"), "cargo": toolMissing("cargo", "--version"), "cmake": toolMissing("cmake", "--version"),
	}[name]
	if !ok {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	missing := check()
	if missing != nil && require.Demanded(name) {
		return false, fmt.Errorf("%s is required: %w", name, missing)
	}
	return missing == nil, nil
}

// composeMissing says what keeps stories with the docker compose plugin from
// running.
func composeMissing() error {
	_, err := os.Stat(os.Getenv("VELOCITY_COMPOSE"))
	return err
}

// busyboxImage is a command of scripts, `image`: it gives the engine an image with
// nothing in it but busybox, called $IMAGE until the script ends.
func busyboxImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: image")
	}
	root := ts.MkAbs(".image")
	ts.Check(busyboxTree(root))
	name := "velocity-story:" + strings.ToLower(rand.Text())
	ts.Check(ts.Exec("sh", "-c", `tar -C "$1" -c . | docker import - "$2"`, "sh", root, name))
	ts.Setenv("IMAGE", name)
	ts.Defer(func() { ts.Check(ts.Exec("docker", "image", "rm", "--force", name)) })
}

// busyboxTree makes the files of the image.
func busyboxTree(root string) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	bin := filepath.Join(root, "bin")
	err = errors.Join(os.MkdirAll(bin, 0o777), os.WriteFile(filepath.Join(bin, "busybox"), program, 0o755))
	for _, applet := range []string{"sh", "cat", "echo", "httpd", "id", "ls", "pwd", "touch", "wget"} {
		err = errors.Join(err, os.Symlink("busybox", filepath.Join(bin, applet)))
	}
	return err
}
