package git

import (
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// remoteSettings are for calls in the user's name: nothing of the repository's
// own is started, no command poses as an address, and what is fetched is checked
// and durable.
var remoteSettings = []string{
	"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.pager=cat",
	"protocol.ext.allow=never",
	"gc.auto=0", "maintenance.auto=false", "submodule.recurse=false",
	"transfer.fsckObjects=true", "fetch.fsckObjects=true",
	"core.fsync=committed,loose-object,reference",
	"push.pushOption=",
}

// usersGit are the variables of git's own that say how to reach a remote or how
// the user is configured. All others with this prefix stay behind: a hook's would
// send us to another repository.
var usersGit = []string{
	"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_PROXY_COMMAND",
	"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
	"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_SSL_CERT", "GIT_SSL_KEY",
	"GIT_HTTP_LOW_SPEED_LIMIT", "GIT_HTTP_LOW_SPEED_TIME", "GIT_HTTP_USER_AGENT", "GIT_HTTP_PROXY_AUTHMETHOD",
	"GIT_CURL_VERBOSE", "GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET",
}

// remoteEnvironment is the user's environment as it is, HOME, SSH_* and whatever
// a credential helper needs included, less what is about git's current command.
func remoteEnvironment(ask bool) []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "GIT_") || slices.Contains(usersGit, name) {
			env = append(env, entry)
		}
	}
	env = append(env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
	if ask {
		return env
	}
	return append(env, "GIT_TERMINAL_PROMPT=0", "GCM_INTERACTIVE=never", "SSH_ASKPASS_REQUIRE=never")
}

// git runs a command that talks to the remote, from where the user's git would:
// an address may be relative to that. Without stdout the output is returned.
func (m *Remote) git(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) ([]byte, error) {
	if m.access != nil {
		return m.repo.run(ctx, command{
			options: slices.Concat(m.access.settings, remoteSettings), env: m.access.env, args: args, stdin: stdin, stdout: stdout,
		})
	}
	var argv []string
	for _, setting := range remoteSettings {
		argv = append(argv, "-c", setting)
	}
	if m.repo.safe != "" {
		argv = append(argv, "-c", "safe.directory="+m.repo.safe)
	}
	argv = append(argv, "--git-dir="+m.repo.gitDir)
	cmd := exec.CommandContext(ctx, "git", append(argv, args...)...)
	cmd.Env = remoteEnvironment(m.Ask)
	if m.configured {
		cmd.Env = append(cmd.Env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=remote."+m.target+".mirror", "GIT_CONFIG_VALUE_0=false")
	}
	cmd.Dir = m.repo.workTree
	if cmd.Dir == "" {
		cmd.Dir = m.repo.gitDir
	}
	cmd.Stdin, cmd.Stdout = stdin, stdout
	own := &syscall.SysProcAttr{Setsid: true} // no terminal to ask on
	if m.Ask {
		own = &syscall.SysProcAttr{} // only the terminal's own group may read from it
	}
	return executeIn(ctx, cmd, args[0], own)
}
