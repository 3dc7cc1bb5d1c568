package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/app/socket"
)

// patience bounds how long a script waits for what nobody tells it of, on a machine
// that a dozen other tests keep busy.
const patience = 2 * time.Minute

// until tries something again and again until it succeeds.
func until(ts *testscript.TestScript, what string, try func() error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-late:
			ts.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

// waitFor is a command of scripts, `waitfor COMMAND ARGUMENT...`: it runs the
// command until it succeeds.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: waitfor COMMAND [ARGUMENT...]")
	}
	until(ts, strings.Join(args, " "), func() error { return ts.Exec(args[0], args[1:]...) })
}

// serving is a command of scripts, `serving GITDIR...`: it waits until a server
// listens in each of these git directories.
func serving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serving GITDIR...")
	}
	for _, dir := range args {
		until(ts, "a server for "+dir, func() error {
			l, err := socket.Dial(context.Background(), ts.MkAbs(filepath.Join(dir, "velocity")))
			if err == nil {
				err = l.Close()
			}
			return err
		})
	}
}

// alive is a command of scripts, `[!] alive FILE`: the process whose id is in the file
// runs; with no file there is none.
func alive(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] alive FILE")
	}
	pid, err := os.ReadFile(ts.MkAbs(args[0]))
	runs := err == nil && worksIn(strings.TrimSpace(string(pid)), ts.Getenv("WORK"))
	if runs == neg {
		ts.Fatalf("process %q runs: %t", pid, runs)
	}
}

// worksIn reports whether the process of this id works in a folder or below it. The id
// alone would not do: on a busy machine it may be somebody else's a second later.
func worksIn(pid, folder string) bool {
	at, err := os.Readlink(filepath.Join("/proc", pid, "cwd")) // one that is over has none
	return err == nil && strings.HasPrefix(at+"/", folder+"/")
}

// leaks is a command of scripts, `[!] leaks SECRET PATH...`: some file at or below
// the paths holds the secret as it is, in base64 at any offset, or in hex.
func leaks(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] leaks SECRET PATH...")
	}
	forms := spellings(args[0])
	for _, path := range args[1:] {
		found, searched := searchFiles(ts, ts.MkAbs(path), forms)
		switch {
		case searched == 0:
			ts.Fatalf("there is no file at %s", path)
		case found != "" && neg:
			ts.Fatalf("the secret is in %s", found)
		case found == "" && !neg:
			ts.Fatalf("the secret is not in %s", path)
		}
	}
}

// spellings are the ways in which a secret would still be one.
func spellings(secret string) [][]byte {
	forms := [][]byte{[]byte(secret), []byte(hex.EncodeToString([]byte(secret)))}
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret + "xx"))
		first, last := (8*shift+5)/6, 8*(shift+len(secret))/6 // digits made of the secret alone
		forms = append(forms, []byte(text[first:last]))
	}
	return forms
}

func searchFiles(ts *testscript.TestScript, root string, forms [][]byte) (found string, searched int) {
	ts.Check(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		searched++
		text, err := os.ReadFile(path)
		for _, form := range forms {
			if bytes.Contains(text, form) {
				found = path
			}
		}
		return err
	}))
	return found, searched
}

// endHooks ends the servers that hooks of the script started: they end by
// themselves, but after the script, and a script that failed may have left them a
// build that waits for it.
func endHooks(work string) error {
	locks, err := filepath.Glob(filepath.Join(work, "*.git", "velocity", "lock"))
	for _, path := range locks {
		err = errors.Join(err, endHook(path))
	}
	return err
}

// endHook ends the server that holds a lock, if it is a hook's.
func endHook(path string) error {
	lock, err := os.Open(path)
	if err != nil {
		return err
	}
	defer lock.Close()
	if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		return nil
	}
	text, err := io.ReadAll(lock)
	if err != nil {
		return err
	}
	var pid int
	if _, err := fmt.Sscanf(string(text), "velocity hook (pid %d)", &pid); err != nil {
		return nil //nolint:nilerr // a server of the script's own, which testscript ends, or none any more
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		return err
	}
	return unix.Flock(int(lock.Fd()), unix.LOCK_EX)
}
