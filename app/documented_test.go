package app_test

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// documented is a command of scripts, `documented PAGE FILE`: it writes the commands
// that a page of docs gives for the file, which is named on their first line, into
// it. What the page promises is what the script then runs.
func documented(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: documented PAGE FILE")
	}
	text, err := os.ReadFile(filepath.Join(top, "docs", args[0]))
	ts.Check(err)
	_, after, found := strings.Cut(string(text), "```sh\n# "+args[1]+"\n")
	commands, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		ts.Fatalf("docs/%s has no commands for %s", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(commands), 0o666))
}
