// Velocity is continuous integration that lives in git: see README.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/velocity-ci/velocity/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	streams := app.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(app.Main(ctx, os.Args[1:], streams, os.Environ()))
}
