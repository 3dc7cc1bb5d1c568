package store

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newRepo makes an empty bare repository.
func newRepo(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "repo.git")
	git(tb, "", "init", "-q", "--bare", "-b", "main", dir)
	return dir
}

// A usage is what a process took.
type usage struct {
	wall time.Duration
	rss  int64 // largest resident set, in bytes
	out  string
}

// run runs a command to its end, which must be good.
func run(tb testing.TB, dir string, stdin io.Reader, argv ...string) usage {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, stdin, &stdout, &stderr
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=b", "GIT_AUTHOR_EMAIL=b@example.org", "GIT_COMMITTER_NAME=b", "GIT_COMMITTER_EMAIL=b@example.org")
	began := time.Now()
	if err := cmd.Run(); err != nil {
		tb.Fatalf("%.200q: %v\n%s", argv, err, stderr.String())
	}
	u := usage{wall: time.Since(began), out: strings.TrimSuffix(stdout.String(), "\n")}
	if got, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = got.Maxrss << 10
	}
	return u
}

func git(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	return run(tb, dir, nil, append([]string{"git"}, args...)...).out
}

func gitStdin(tb testing.TB, dir string, stdin io.Reader, args ...string) string {
	tb.Helper()
	return run(tb, dir, stdin, append([]string{"git"}, args...)...).out
}
