// Package socket is the local way to a running server: a Unix socket in the
// repository it serves. Whoever may open it may act, so it is closed to other
// users, unless the repository is shared with them.
package socket

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// name of the socket within its folder.
const name = "sock"

// longest path that every system's socket addresses hold.
const longest = 100

// Path is where the socket in dir is.
func Path(dir string) string { return filepath.Join(dir, name) }

// Listen makes the socket in dir, which must exist. The caller holds the
// repository's lock: a socket that an earlier process left is replaced.
func Listen(ctx context.Context, dir string) (net.Listener, error) {
	if err := os.Remove(Path(dir)); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("listen in %s: %w", dir, err)
	}
	var l net.Listener
	err := within(dir, func(path string) (err error) {
		l, err = (&net.ListenConfig{}).Listen(ctx, "unix", path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen in %s: %w", dir, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // a successor may have its own there by then
	if err := os.Chmod(Path(dir), 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen in %s: %w", dir, err)
	}
	return l, nil
}

// Dial connects to the server that listens in dir.
func Dial(ctx context.Context, dir string) (net.Conn, error) {
	var c net.Conn
	err := within(dir, func(path string) (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		return err
	})
	return c, err
}

// within calls use with a path to the socket that is short enough.
func within(dir string, use func(path string) error) error {
	path := Path(dir)
	if len(path) <= longest {
		return use(path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
}
