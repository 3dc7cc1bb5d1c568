package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Mark is the line by which a hook of ours is known.
const Mark = "velocity hook post-receive"

// chained is where a hook that was there before goes.
const chained = ".before-velocity"

// An ExistsError means that somebody else's hook is in the way.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string { return "there is a hook already: " + e.Path }

// Install writes the post-receive hook at path, which runs the program with the
// executor that was chosen ("" is Docker alone). A hook of ours is replaced; one
// of somebody else is an *ExistsError, or with chain it is kept and run before
// ours.
func Install(path, program, executor string, chain bool) error {
	existing, err := os.ReadFile(path)
	theirs := err == nil && !strings.Contains(string(existing), Mark)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("install hook: %w", err)
	case theirs && !chain:
		return &ExistsError{Path: path}
	case theirs:
		if err := os.Rename(path, path+chained); err != nil {
			return fmt.Errorf("install hook: keep the one that is there: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("install hook: %w", err)
	}
	_, err = os.Stat(path + chained)
	return write(path, script(program, executor, err == nil))
}

// write puts a hook in place in one step: a push that runs meanwhile finds the
// old one or the new one.
func write(path, text string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "post-receive-*")
	if err != nil {
		return fmt.Errorf("install hook: %w", err)
	}
	defer os.Remove(temp.Name()) // gone already if it was renamed
	_, err = temp.WriteString(text)
	if err := errors.Join(err, temp.Chmod(0o755), temp.Close()); err != nil {
		return fmt.Errorf("install hook: %w", err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fmt.Errorf("install hook: %w", err)
	}
	return nil
}

// script is the hook. What git says is read once and given to both hooks.
func script(program, executor string, chain bool) string {
	ours := quote(program) + " hook post-receive"
	if executor != "" {
		ours += " --executor " + quote(executor)
	}
	text := "#!/bin/sh\n# " + Mark + ": written by velocity hook install, which replaces it\n"
	if !chain {
		return text + "exec " + ours + "\n"
	}
	return text + "updates=$(cat; echo .)\nupdates=${updates%.}\n" +
		"printf %s \"$updates\" | \"$0" + chained + "\" \"$@\"\n" +
		"printf %s \"$updates\" | " + ours + "\n"
}

// quote writes a word for a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
