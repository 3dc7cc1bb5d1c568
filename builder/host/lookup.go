package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/velocity-ci/velocity/builder/executor"
)

// wellFormed refuses what no system can run, rather than to have it look like a
// broken machine on which another attempt might do better.
func wellFormed(c executor.Command) error {
	if len(c.Argv) == 0 {
		return &executor.StartError{What: "the step names no command", Hint: "give it a command or a script"}
	}
	for _, text := range slices.Concat(c.Argv, c.Env) {
		if strings.ContainsRune(text, 0) {
			return &executor.StartError{What: "an argument or variable holds a NUL byte", Hint: "hand binary data over in a file"}
		}
	}
	return nil
}

// workingDir is the absolute directory in which a command runs.
func workingDir(c executor.Command) (string, error) {
	if c.Dir != "" && !filepath.IsLocal(filepath.FromSlash(c.Dir)) {
		return "", &executor.StartError{
			What: fmt.Sprintf("working directory %q is outside the workspace", c.Dir),
			Hint: "name a directory of the repository, relative to its root",
		}
	}
	dir := filepath.Join(c.Workspace, filepath.FromSlash(c.Dir))
	info, err := os.Stat(dir)
	if err == nil && info.IsDir() {
		return dir, nil
	}
	return "", &executor.StartError{
		What: fmt.Sprintf("working directory %q is not there", c.Dir),
		Hint: "a directory must be in the repository or made by an earlier step",
		Err:  err,
	}
}

// lookUp finds a program as a shell in dir would: by its path if it contains a
// slash, in the directories of path otherwise. An empty part of path, which
// means dir in old shells, means nothing here.
func lookUp(name, dir, path string) (string, error) {
	if strings.Contains(name, "/") {
		file := absolute(name, dir)
		return file, executable(name, file)
	}
	var first error
	for _, part := range filepath.SplitList(path) {
		if part == "" || name == "" {
			continue
		}
		file := filepath.Join(absolute(part, dir), name)
		err := executable(name, file)
		if err == nil {
			return file, nil
		}
		if first == nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			first = err
		}
	}
	if first != nil {
		return "", first
	}
	return "", &executor.StartError{
		What: fmt.Sprintf("command %q not found in PATH", name),
		Hint: "install it on the builder or name an image",
	}
}

func absolute(path, dir string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// executable returns why file, which the author of the step calls name, cannot
// be run.
func executable(name, file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return &executor.StartError{
			What: fmt.Sprintf("command %q not found", name),
			Hint: "paths count from the step's working directory",
			Err:  err,
		}
	case info.IsDir():
		return &executor.StartError{What: fmt.Sprintf("command %q is a directory", name), Hint: "name a program in it"}
	case info.Mode()&0o111 == 0:
		return &executor.StartError{
			What: fmt.Sprintf("command %q is not executable", name),
			Hint: "git update-index --chmod=+x on the file, or run it by its interpreter",
			Err:  fs.ErrPermission,
		}
	}
	return nil
}

// startError tells what the command is to blame for from what the machine is.
func startError(cmd *exec.Cmd, err error) error {
	name := cmd.Args[0]
	switch {
	case errors.Is(err, syscall.ENOENT):
		return interpreterError(name, cmd.Path, err)
	case errors.Is(err, syscall.EACCES):
		return &executor.StartError{What: fmt.Sprintf("command %q may not be run", name),
			Hint: "the builder's user needs permission for it and for its interpreter", Err: err}
	case errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.ELOOP):
		return &executor.StartError{What: fmt.Sprintf("command %q is no program for this machine", name),
			Hint: "a script needs a first line such as #!/bin/sh", Err: err}
	case errors.Is(err, syscall.E2BIG):
		return &executor.StartError{What: fmt.Sprintf("arguments and environment of %q are too long", name),
			Hint: "hand large values over in a file", Err: err}
	}
	return fmt.Errorf("%w: start %q: %w", executor.ErrEngine, name, err)
}

// interpreterError explains why a file that is there was not found: the program
// that should run it is not.
func interpreterError(name, file string, cause error) error {
	line, ok := shebang(file)
	if !ok {
		return &executor.StartError{What: fmt.Sprintf("the loader of command %q was not found", name),
			Hint: "it was built for another system", Err: cause}
	}
	hint := "install it on the builder or name an image"
	if strings.HasSuffix(line, "\r") {
		hint = "the file has Windows line ends; store it with LF"
	}
	interpreter, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return &executor.StartError{What: fmt.Sprintf("interpreter %q of command %q not found", interpreter, name),
		Hint: hint, Err: cause}
}

// shebang returns what follows #! in the first line of a script.
func shebang(file string) (string, bool) {
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 256)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false
	}
	return strings.CutPrefix(strings.TrimSuffix(line, "\n"), "#!")
}
