package app_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

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
	address := freeAddress(ts)
	ts.Check(os.WriteFile(filepath.Join(dir, "config.yml"), fmt.Appendf(nil, `version: 0.1
storage: {filesystem: {rootdirectory: %q}}
http: {addr: %q}
auth: {htpasswd: {realm: story, path: %q}}
`, filepath.Join(dir, "data"), address, filepath.Join(dir, "htpasswd")), 0o600))
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "docker-registry", "serve", filepath.Join(dir, "config.yml"))
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	ts.Defer(func() { stop(); <-ended })
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			break
		}
		select {
		case <-ended:
			ts.Fatalf("docker-registry ended: %s", cmd.ProcessState)
		default:
		}
	}
	ts.Setenv("REGISTRY", address)
	ts.Setenv("REGISTRY_PASSWORD", password)
}

// freeAddress is one of loopback on which nothing listens now.
func freeAddress(ts *testscript.TestScript) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	return l.Addr().String()
}
