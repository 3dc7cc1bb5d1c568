package app

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/velocity-ci/velocity/app/term"
)

// attended makes a command end in order, as if it had been interrupted, when
// nobody reads what it prints any more or its terminal is closed. Left alone, both
// would kill this process on the spot, and the steps it runs would stay.
func attended(ctx context.Context, streams Streams) (context.Context, Streams, context.CancelFunc) {
	ctx, end := context.WithCancel(ctx)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // writing fails instead
	for _, w := range []*io.Writer{&streams.Out, &streams.Err} {
		if !term.IsTerminal(*w) { // terminals do not break, and show progress
			*w = pipe{*w, end}
		}
	}
	if signal.Ignored(syscall.SIGHUP) { // as nohup asks for
		return ctx, streams, end
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	return ctx, streams, func() { stop(); end() }
}

// A pipe tells when its reader is gone.
type pipe struct {
	io.Writer
	gone func()
}

func (p pipe) Write(text []byte) (int, error) {
	n, err := p.Writer.Write(text)
	if errors.Is(err, syscall.EPIPE) {
		p.gone()
	}
	return n, err
}
