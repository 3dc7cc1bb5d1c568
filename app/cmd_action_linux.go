package app

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// closeEnvironment keeps other processes of the same user from reading this one's
// environment and memory.
func closeEnvironment() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("close the environment: %w", err)
	}
	return nil
}
