package app_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/bcrypt"
)

// registryMissing says what keeps stories with a registry from running.
func registryMissing() error {
	_, err := exec.LookPath("docker-registry")
	return err
}

// buildxMissing says what keeps stories with the docker buildx plugin from
// running.
func buildxMissing() error {
	_, err := os.Stat(os.Getenv("VELOCITY_BUILDX"))
	return err
}

// startRegistry is a command of scripts, `registry`: a registry runs until the
// script ends, at $REGISTRY, and lets ada in with $REGISTRY_PASSWORD.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: registry")
	}
	dir := ts.MkAbs(".registry")
	password := rand.Text()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	ts.Check(err)
	ts.Check(os.Mkdir(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, "htpasswd"), []byte("ada:"+string(hash)+"\n"), 0o600))
	ts.Check(os.WriteFile(filepath.Join(dir, "config.yml"), fmt.Appendf(nil, `version: 0.1
storage: {filesystem: {rootdirectory: %q}}
http: {addr: "127.0.0.1:0"}
auth: {htpasswd: {realm: story, path: %q}}
`, filepath.Join(dir, "data"), filepath.Join(dir, "htpasswd")), 0o600))
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "docker-registry", "serve", filepath.Join(dir, "config.yml"))
	log, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	address, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if m := registryListens.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, log) // it ends with the registry
		_ = cmd.Wait()
	}()
	ts.Defer(func() { stop(); <-ended })
	select {
	case at := <-address:
		ts.Setenv("REGISTRY", at)
		ts.Setenv("REGISTRY_PASSWORD", password)
	case <-ended:
		ts.Fatalf("docker-registry ended: %s", cmd.ProcessState)
	}
}

// registryListens is how a registry's log says where it is.
var registryListens = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)
