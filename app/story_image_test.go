package app_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// treeMissing says what keeps stories with a small Debian from running.
func treeMissing() error {
	_, err := os.Stat(os.Getenv("VELOCITY_TREE"))
	return err
}

// Images that stories have in common are made when the first story asks for them,
// once a test run.
var (
	debianImage  = sync.OnceValues(func() (string, error) { return importImage(os.Getenv("VELOCITY_TREE")) })
	programImage = sync.OnceValues(compiledImage) // /out/velocity and nothing else
)

// imported are their names.
var imported struct {
	sync.Mutex
	names []string
}

// withImages runs the tests and removes the images that they made.
type withImages struct{ *testing.M }

// Run implements testscript.TestingM.
func (m withImages) Run() int {
	status := m.M.Run()
	for _, name := range imported.names {
		if out, err := exec.Command("docker", "image", "rm", "--force", name).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "remove the image %s: %v: %s", name, err, out)
			status = max(status, 1)
		}
	}
	return status
}

// importImage gives the engine an image with the files of a tar archive.
func importImage(archive string) (name string, err error) {
	name = "velocity-story:" + strings.ToLower(rand.Text())
	if out, err := exec.Command("docker", "import", archive, name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("docker import: %w: %s", err, out)
	}
	imported.Lock()
	imported.names = append(imported.names, name)
	imported.Unlock()
	return name, nil
}

// compiledImage compiles the program as it is released, static, for its image.
func compiledImage() (name string, err error) {
	dir, err := os.MkdirTemp("", "velocity-image-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	root, archive := filepath.Join(dir, "root"), filepath.Join(dir, "image.tar")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(root, "out", "velocity"), ".")
	build.Dir, build.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile the program: %w: %s", err, out)
	}
	if out, err := exec.Command("tar", "-C", root, "-cf", archive, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("pack the program: %w: %s", err, out)
	}
	return importImage(archive)
}

// dockerfile is a command of scripts, `dockerfile`: it builds the images of
// Dockerfile on a small Debian, of a program that is compiled already, as
// $SERVER_IMAGE and, for GitHub's runners, $ACTION_IMAGE until the script ends.
// Containers, volumes and networks with $NAME in their names end then, too.
func dockerfile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: dockerfile")
	}
	source, err := filepath.Abs(top)
	ts.Check(err)
	debian, err := debianImage()
	ts.Check(err)
	program, err := programImage()
	ts.Check(err)
	name := "velocity-story-" + strings.ToLower(rand.Text())
	ts.Setenv("NAME", name)
	ts.Setenv("SOURCE", source)
	ts.Defer(func() { ts.Check(ts.Exec("sh", "-euc", removeNamed, "sh", name)) })
	plugins := filepath.Join(ts.Getenv("HOME"), ".docker", "cli-plugins")
	ts.Check(os.MkdirAll(plugins, 0o777))
	ts.Check(os.Symlink(os.Getenv("VELOCITY_BUILDX"), filepath.Join(plugins, "docker-buildx")))
	ts.Setenv("DOCKER_BUILDKIT", "1")
	for variable, options := range map[string][]string{
		"SERVER_IMAGE": {"--target", "velocity"}, "ACTION_IMAGE": nil,
	} {
		image := name + ":" + strings.ToLower(variable)
		ts.Check(ts.Exec("docker", append([]string{
			"build", "--quiet", "--tag", image, "--build-arg", "RUNTIME_IMAGE=" + debian, "--build-arg", "BINARY=" + program,
			"--build-arg", "PACKAGES=git ca-certificates", "--build-arg", "VERSION=1.2.3", "--build-arg", "COMMIT=0123abcd", source,
		}, options...)...))
		ts.Setenv(variable, image)
	}
}

// port is what free looks at next: each script gets others, until all were tried.
var port atomic.Int64

func init() { port.Store(20000 + mathrand.Int64N(8000)) }

// free is a command of scripts, `free VARIABLE`: it finds a port on which nothing
// listens, and which nobody gets who asks for any: Linux gives those from 32768 on.
func free(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: free VARIABLE")
	}
	for {
		one := strconv.FormatInt(port.Add(1), 10)
		if l, err := net.Listen("tcp", ":"+one); err == nil {
			ts.Check(l.Close())
			ts.Setenv(args[0], one)
			return
		}
	}
}

// removeNamed removes what has a name in its own, whatever became of the script.
const removeNamed = `
docker ps --all --quiet --filter "name=$1" | xargs -r docker rm --force --volumes
docker volume ls --quiet --filter "name=$1" | xargs -r docker volume rm
docker network ls --quiet --filter "name=$1" | xargs -r docker network rm
docker images --format '{{.Repository}}:{{.Tag}}' "$1" | xargs -r docker image rm --force
`
