package app

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// A certificate is read anew when its files change, so that one can be renewed
// under a running server. While the new files are no pair, the old one stays.
type certificate struct {
	file, key string
	log       *slog.Logger

	mu    sync.Mutex
	pair  *tls.Certificate
	stamp [2]stamp
}

// A stamp tells versions of a file apart.
type stamp struct {
	changed time.Time
	size    int64
}

// load reads the files if they changed.
func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var now [2]stamp
	for i, path := range []string{c.file, c.key} {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		now[i] = stamp{info.ModTime(), info.Size()}
	}
	if c.pair != nil && now == c.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.file, c.key)
	if err != nil {
		return fmt.Errorf("read the certificate %s and its key: %w", c.file, err)
	}
	c.pair, c.stamp = &pair, now
	return nil
}

// get is for tls.Config.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if err := c.load(); err != nil {
		c.log.Warn("the certificate stays the old one", "err", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair, nil
}
