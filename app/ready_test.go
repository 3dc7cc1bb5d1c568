package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch/server"
)

// Each condition is looked at by itself, and one that is not in order says so.
func TestReadyConditions(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	nats, err := server.Start(server.Options{Builder: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{front: &front{state: folder}, nats: nats}
	broken := func() (names string) {
		for _, c := range s.ready() {
			if c.Err != nil {
				names += c.Name + " "
			}
		}
		return names
	}
	if got := broken(); got != "intake store " {
		t.Errorf("before anything is there %q is not in order", got)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	s.taking.Store(true)
	if got := broken(); got != "" {
		t.Errorf("while all is well %q is not in order", got)
	}
	nats.Stop()
	if got := broken(); got != "nats " {
		t.Errorf("without NATS %q is not in order", got)
	}
}
