package app

import (
	"context"
	"log/slog"
	"net"
)

// envManager is the variable with the socket of the service manager that started
// this process, if it wants to be told how that stands: systemd, for Type=notify.
const envManager = "NOTIFY_SOCKET"

// What the manager is told, in its words: see sd_notify(3).
const (
	managerReady    = "READY=1"
	managerStopping = "STOPPING=1"
)

// tellManager tells the service manager, if there is one that asks. That it cannot
// be told is noted and changes nothing: it has a time limit of its own.
func (c *cli) tellManager(ctx context.Context, state string, log *slog.Logger) {
	path := c.env[envManager]
	if path == "" {
		return
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", path)
	if err == nil {
		_, err = conn.Write([]byte(state))
		_ = conn.Close() // it is a datagram: what was written is there
	}
	if err != nil {
		log.Warn("the service manager was not told", "state", state, "err", err)
	}
}
