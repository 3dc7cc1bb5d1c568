package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/velocity-ci/velocity/builder/executor"
)

const (
	// markName is the variable that says on whose behalf a process runs. Its
	// value is one word for each attempt around the process, outermost first:
	// builds may run builds.
	markName = "VELOCITY_ATTEMPT"

	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Scratch returns the directory beside a workspace in which a step without a
// HOME finds its HOME and TMPDIR. It is made by the first step of a workspace
// and removed by whoever removes the workspace.
func Scratch(workspace string) string { return filepath.Clean(workspace) + ".scratch" }

// environment returns all variables of a command's processes and their mark.
// What comes later in the list wins.
func (e *Executor) environment(c executor.Command) (env []string, mark string, err error) {
	env = append(env, "PATH="+defaultPath, "LANG=C.UTF-8")
	env = append(env, e.Base...)
	env = append(env, "CI=true", "VELOCITY=1")
	env = append(env, c.Env...)
	if value(env, "HOME") == "" {
		home, tmp := filepath.Join(Scratch(c.Workspace), "home"), filepath.Join(Scratch(c.Workspace), "tmp")
		for _, dir := range []string{home, tmp} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return nil, "", fmt.Errorf("%w: make home directory: %w", executor.ErrEngine, err)
			}
		}
		env = append(env, "HOME="+home, "TMPDIR="+tmp)
	}
	mark = newMark(c.Owner)
	around := value(e.Base, markName)
	return append(env, markName+"="+strings.TrimSpace(around+" "+mark)), mark, nil
}

// value returns the value of a variable, or "".
func value(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return ""
}

var marks atomic.Int64

// newMark returns the word that marks the processes of one command:
// owner@process#n, where process is the one that started the command.
func newMark(o executor.Owner) string {
	return fmt.Sprintf("%s@%s#%d", o, self(), marks.Add(1))
}

// parseMark is the opposite of newMark. The owner may hold any byte but a blank,
// so it is taken apart from the end.
func parseMark(word string) (builder, owner, process string, ok bool) {
	at, hash := strings.LastIndexByte(word, '@'), strings.LastIndexByte(word, '#')
	if at < 0 || hash < at {
		return "", "", "", false
	}
	owner, process = word[:at], word[at+1:hash]
	builder = owner
	for range 3 { // build, task, attempt
		slash := strings.LastIndexByte(builder, '/')
		if slash < 0 {
			return "", "", "", false
		}
		builder = builder[:slash]
	}
	return builder, owner, process, true
}

// marksOf returns the marks in a block of environment as the kernel shows it:
// variables that each end with a NUL. The block belongs to the process, which
// may have written anything there.
func marksOf(environ []byte) []string {
	for variable := range strings.SplitSeq(string(environ), "\x00") {
		if words, ok := strings.CutPrefix(variable, markName+"="); ok {
			return strings.Fields(words)
		}
	}
	return nil
}
