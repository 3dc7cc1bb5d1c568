package app

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/builder/require"
)

func echoes(f *os.File) bool {
	state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil && state.Lflag&unix.ECHO != 0
}

// When the command is ended at a question, the terminal shows again what is typed.
func TestAskEndsWithItsContext(t *testing.T) {
	person, program, err := OpenTerminal()
	require.Have(t, "linux", err)
	asked, asking := io.Pipe()
	c := &cli{Streams: Streams{In: program, Err: asking}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		buf := make([]byte, len("token: "))
		_, _ = io.ReadFull(asked, buf)
		for echoes(program) { // until it waits for the secret
			runtime.Gosched()
		}
		cancel()
		_, _ = io.Copy(io.Discard, asked)
	}()
	if _, err := c.ask(ctx, blueprint.Missing{Name: "token", Secret: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("ask = %v; want %v", err, context.Canceled)
	}
	if !echoes(program) {
		t.Error("the terminal does not show what is typed any more")
	}
	if _, err := person.WriteString("x\n"); err != nil { // lets the reader go
		t.Fatal(err)
	}
}
