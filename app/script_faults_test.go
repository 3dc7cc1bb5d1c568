package app_test

import (
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// sendSignal is a command of scripts, `signal NAME`: it sends a signal to the
// command that was put into the background last. The scripts' own kill knows
// only two.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	background := ts.BackgroundCmds()
	if neg || len(args) != 1 || unix.SignalNum("SIG"+args[0]) == 0 || len(background) == 0 {
		ts.Fatalf("usage, with a command in the background: signal NAME")
	}
	ts.Check(background[len(background)-1].Process.Signal(unix.SignalNum("SIG" + args[0])))
}
