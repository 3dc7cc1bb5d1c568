package app_test

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// engineSocket is where containers of this machine find the engine, if it is a socket
// here.
func engineSocket() (string, bool) {
	return strings.CutPrefix(cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock"), "unix://")
}

// socketMissing says what keeps containers here from speaking to the engine.
func socketMissing() error {
	if address, ok := engineSocket(); !ok {
		return fmt.Errorf("the engine is at %s, not at a socket on this machine", address)
	}
	return nil
}

// vessel is a command of scripts, `vessel`: until the script ends there is an image
// $VESSEL that runs velocity, and $INSIDE is the command that runs it as this user,
// with the programs of this machine and the engine's socket. $VOLUME is a name for
// a volume, and for whatever else needs one; it goes with all that begins so.
func vessel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: vessel")
	}
	program, err := exec.LookPath("velocity")
	ts.Check(err)
	program, err = filepath.EvalSymlinks(program)
	ts.Check(err)
	name := "velocity-inside-" + strings.ToLower(rand.Text())
	root := ts.MkAbs(".vessel")
	mounts, err := vesselTree(root)
	ts.Check(err)
	ts.Check(ts.Exec("sh", "-c", `tar -C "$1" -c . | docker import --change 'ENTRYPOINT ["/program/velocity"]' \
		--change 'ENV HOME=/tmp PATH=/usr/bin:/bin DOCKER_CONFIG=/config' - "$2"`, "sh", root, name))
	ts.Defer(func() {
		ts.Check(ts.Exec("sh", "-c", `docker ps -aq --filter name="$1" | xargs -r docker rm --force --volumes
			docker volume ls -q --filter name="$1" | xargs -r docker volume rm
			docker image rm --force "$1"`, "sh", name))
	})
	socket, _ := engineSocket()
	info, err := os.Stat(socket)
	ts.Check(err)
	group := info.Sys().(*syscall.Stat_t).Gid
	ts.Setenv("VESSEL", name)
	ts.Setenv("VOLUME", name)
	ts.Setenv("INSIDE", fmt.Sprintf("docker run --rm --user %d:%d --group-add %d -v %s:/program/velocity:ro -v %s:/var/run/docker.sock %s",
		os.Getuid(), os.Getgid(), group, program, socket, strings.Join(mounts, " ")))
}

// vesselTree makes the files of the image, and returns the options that mount this
// machine's programs into it.
func vesselTree(root string) (mounts []string, err error) {
	for _, dir := range []string{"etc", "tmp", "state"} {
		path := filepath.Join(root, dir)
		err = errors.Join(err, os.MkdirAll(path, 0o777), os.Chmod(path, 0o777|os.ModeSticky))
	}
	passwd := fmt.Sprintf("builder:x:%d:%d:builder:/tmp:/bin/sh\n", os.Getuid(), os.Getgid())
	err = errors.Join(err, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o666))
	for _, dir := range []string{"usr", "bin", "lib", "lib64"} {
		to, linkErr := os.Readlink("/" + dir)
		if linkErr == nil {
			err = errors.Join(err, os.Symlink(to, filepath.Join(root, dir)))
		} else if _, statErr := os.Stat("/" + dir); statErr == nil {
			mounts = append(mounts, fmt.Sprintf("-v /%s:/%s:ro", dir, dir))
		}
	}
	return mounts, err
}
