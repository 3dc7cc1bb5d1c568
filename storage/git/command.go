package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/velocity-ci/velocity/storage/git/session"
)

// passedOn are the variables a git process inherits from us: where programs and
// certificates are, and how to reach the network. All others stay behind, most
// of all GIT_*: a hook's environment would send our calls to another repository.
var passedOn = []string{
	"PATH", "TMPDIR", "SSH_AUTH_SOCK",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
	"http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
}

// fixedEnvironment makes git's behaviour depend on the repository alone and
// keeps it from asking anybody anything.
var fixedEnvironment = []string{
	"HOME=", "LC_ALL=C",
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "GIT_SSH_COMMAND=ssh -oBatchMode=yes",
	"GIT_PROTOCOL_FROM_USER=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1",
}

// fixedOptions switch off what a repository's own configuration could start.
var fixedOptions = []string{
	"core.hooksPath=/dev/null", "core.fsmonitor=false",
	"protocol.allow=never", "protocol.https.allow=always", "protocol.ssh.allow=always",
	"safe.bareRepository=explicit", "submodule.recurse=false",
	"gc.auto=0", "maintenance.auto=false", "core.pager=cat",
}

// killDelay is how long a canceled git process may hold on to our pipes.
const killDelay = 2 * time.Second

// A command is one run of the git binary.
type command struct {
	gitDir   string // always given: git never discovers a repository for us
	workTree string
	options  []string // further "key=value" for -c
	env      []string // beyond environment()
	args     []string
	dir      string
	stdin    io.Reader
	stdout   io.Writer // nil: the output is returned
}

// git runs a command in the repository and returns what it prints.
func (r *Repository) git(ctx context.Context, args ...string) ([]byte, error) {
	return r.run(ctx, command{args: args})
}

// run fills in the repository's places.
func (r *Repository) run(ctx context.Context, c command) ([]byte, error) {
	if c.gitDir == "" {
		c.gitDir = r.gitDir
	}
	if r.safe != "" {
		c.options = append(c.options, "safe.directory="+r.safe)
	}
	return c.run(ctx)
}

func (c command) run(ctx context.Context) ([]byte, error) {
	var argv []string
	for _, option := range append(fixedOptions[:len(fixedOptions):len(fixedOptions)], c.options...) {
		argv = append(argv, "-c", option)
	}
	argv = append(argv, "--git-dir="+c.gitDir)
	if c.workTree != "" {
		argv = append(argv, "--work-tree="+c.workTree)
	}
	cmd := exec.CommandContext(ctx, "git", append(argv, c.args...)...)
	cmd.Env = append(environment(), c.env...)
	cmd.Dir = c.dir
	if cmd.Dir == "" {
		cmd.Dir = c.gitDir
	}
	cmd.Stdin = c.stdin
	cmd.Stdout = c.stdout
	return execute(ctx, cmd, c.args[0])
}

// environment is the whole environment of a git process.
func environment() []string {
	env := append([]string(nil), fixedEnvironment...)
	for _, name := range passedOn {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// execute runs cmd in a process group of its own, so that its helpers end with
// it when ctx does. The error carries what git said.
func execute(ctx context.Context, cmd *exec.Cmd, verb string) ([]byte, error) {
	return executeIn(ctx, cmd, verb, &syscall.SysProcAttr{Setpgid: true})
}

// executeIn runs cmd as group says: in a process group or session of its own, or
// in ours, where it can use the terminal and ends alone.
func executeIn(ctx context.Context, cmd *exec.Cmd, verb string, group *syscall.SysProcAttr) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	cmd.SysProcAttr = group
	cmd.Cancel = func() error {
		if group.Setpgid || group.Setsid {
			return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = killDelay
	run := cmd.Run
	if group.Setsid {
		run = func() error { return session.Run(cmd) }
	}
	err := run()
	if err == nil {
		return stdout.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("git %s: %w", verb, context.Cause(ctx))
	}
	if said := complaint(stderr.String()); said != "" {
		return nil, fmt.Errorf("git %s: %w: %s", verb, err, said)
	}
	return nil, fmt.Errorf("git %s: %w", verb, err)
}

// complaintLimit keeps an error readable, in bytes; git says what is fatal last.
const complaintLimit = 2000

var userInfo = regexp.MustCompile(`://[^/@\s]+@`)

// complaint trims what git wrote to its error stream and hides credentials that
// it may quote from a URL.
func complaint(stderr string) string {
	text := strings.TrimSpace(strings.ToValidUTF8(stderr, "?"))
	text = userInfo.ReplaceAllString(text, "://***@")
	if len(text) > complaintLimit {
		text = "…" + strings.ToValidUTF8(text[len(text)-complaintLimit:], "")
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// noRepository is a git folder that cannot exist, so that none is found either.
const noRepository = "/dev/null"

// userSetting reads a setting as the user's own git would see it in gitDir: the
// one call that must not hide the user's configuration. With noRepository for
// gitDir it sees the user's and the system's settings only.
func userSetting(ctx context.Context, gitDir, key string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "config", "--null", "--type=path", "--get-all", key)
	for _, entry := range os.Environ() {
		switch name, _, _ := strings.Cut(entry, "="); name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR": // set inside hooks
		default:
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_DIR="+gitDir)
	out, err := execute(ctx, cmd, "config")
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil, nil // not set
	}
	if err != nil {
		return nil, err
	}
	text, _ := strings.CutSuffix(string(out), "\x00")
	return strings.Split(text, "\x00"), nil
}

// shellQuote makes s one word for a POSIX shell, for commands we advise.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@:", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
