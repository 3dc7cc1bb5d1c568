package app_test

import (
	"os"
	"os/exec"
)

// previousMissing says what keeps stories with the program of one version ago from
// running.
func previousMissing() error {
	_, err := os.Stat(os.Getenv("VELOCITY_PREVIOUS"))
	return err
}

// mountMissing says what keeps stories from mounting folders elsewhere, for their own
// processes: the right to do so.
func mountMissing() error {
	return exec.Command("unshare", "--mount", "mount", "--bind", os.TempDir(), os.TempDir()).Run()
}
