package app_test

import "os"

// previousMissing says what keeps stories with the program of one version ago from
// running.
func previousMissing() error {
	_, err := os.Stat(os.Getenv("VELOCITY_PREVIOUS"))
	return err
}
