package app

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"github.com/velocity-ci/velocity/app/socket"
)

// envHealth is the variable with the folder in which a server or a builder answers
// velocity health. Images set it: whatever flags the process has there, and whatever
// it does, both find each other. Without it nobody asks and nobody answers.
const envHealth = "VELOCITY_HEALTH"

// answerHealth lets velocity health find this process alive until end is called,
// which is longer than ctx lasts: a process that drains lives.
func (c *cli) answerHealth(ctx context.Context, log *slog.Logger) (end func(), err error) {
	folder := c.env[envHealth]
	if folder == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, noHealth(err)
	}
	l, err := socket.Listen(ctx, folder)
	if err != nil {
		return nil, noHealth(err)
	}
	alive := http.NewServeMux()
	alive.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	srv, ended := apiServer(ctx, alive, log), make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(l) }() // what it could not serve, velocity health tells
	return func() { endServers(ctx, srv); <-ended }, nil
}

// noHealth says what can be done where the folder cannot be used: a process whose
// health nobody can ask for would be taken for one that hangs.
func noHealth(err error) error {
	return usage("%s: %w", envHealth, err).
		hint("name a folder that this user can make a socket in; where the root file system is read-only, as with docker run --read-only, add --tmpfs /tmp")
}
