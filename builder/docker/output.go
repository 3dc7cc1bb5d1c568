package docker

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"github.com/docker/docker/pkg/stdcopy"
)

// drainTime is how long output may take to arrive once the step was canceled or
// the engine broke.
const drainTime = 5 * time.Second

// initLine bounds what is kept to recognise a failure of the container's init.
const initLine = 4 << 10

// An output copies a container's two streams to their writers.
type output struct {
	stdout, stderr io.Writer
	ahead          *lookahead

	failed chan struct{} // closed at once if copying fails; err is set by then
	done   chan struct{} // closed at the end of the container's output
	err    error
	first  []byte // how stderr began, up to initLine bytes
	other  bool   // more was printed than first holds
}

func newOutput(stdout, stderr io.Writer) *output {
	return &output{
		stdout: stdout, stderr: stderr, ahead: newLookahead(),
		failed: make(chan struct{}), done: make(chan struct{}),
	}
}

// copy begins to copy s and returns. A writer that blocks holds the container
// back through the engine; what is read ahead meanwhile is bounded.
func (o *output) copy(s io.Reader) {
	go func() {
		defer close(o.done)
		var filling sync.WaitGroup
		filling.Go(func() { o.ahead.fill(s) })
		if _, o.err = stdcopy.StdCopy(stdoutOf{o}, stderrOf{o}, o.ahead); o.err != nil {
			close(o.failed)
			// A container whose output nobody takes could not end by itself.
			_, _ = io.Copy(io.Discard, o.ahead)
		}
		filling.Wait()
	}()
}

// drain waits for the last byte of a container that has ended: as long as its
// writers need, or drainTime once ctx is over or hurry says that no more can be
// expected. A writer that blocks for ever blocks drain, too.
func (o *output) drain(ctx context.Context, s io.Closer, hurry bool) {
	if !hurry {
		select {
		case <-o.done:
		case <-ctx.Done():
		}
	}
	timer := time.AfterFunc(drainTime, func() { s.Close() })
	defer timer.Stop()
	<-o.done
}

type stdoutOf struct{ *output }

func (o stdoutOf) Write(p []byte) (int, error) {
	o.other = true
	return o.stdout.Write(p)
}

type stderrOf struct{ *output }

func (o stderrOf) Write(p []byte) (int, error) {
	switch {
	case o.other:
	case len(o.first)+len(p) > initLine:
		o.other = true
	default:
		o.first = append(o.first, p...)
	}
	return o.stderr.Write(p)
}

// initFailure returns why the container's init could not run program, if that
// is all that was printed. The engine starts its own init (tini), so a missing
// program is not the engine's error but one line of tini's, such as
//
//	[FATAL tini (7)] exec nope failed: No such file or directory
//
// A command that prints just this line and fails is taken for one that never
// ran, which deceives nobody but its author.
func (o *output) initFailure(program string) (reason string, ok bool) {
	line, ended := bytes.CutSuffix(o.first, []byte("\n"))
	if o.other || !ended || bytes.ContainsRune(line, '\n') || !bytes.HasPrefix(line, []byte("[FATAL tini (")) {
		return "", false
	}
	_, after, ok := bytes.Cut(line, []byte(")] exec "+program+" failed: "))
	return string(after), ok
}
