package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Health is what a server tells everybody about itself.
type Health struct {
	Ready      bool
	Conditions string        // what has to be in order, a line each, and whether it is
	Skew       time.Duration // of our clock, to the second: positive if it is ahead of the server's
	Expires    time.Time     // its certificate; zero without TLS
}

// largestHealth is how much a server may say about it, in bytes.
const largestHealth = 4 << 10

// Health asks a server how it is. The error is that it could not be asked.
func (c *Client) Health(ctx context.Context, now func() time.Time) (Health, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/readyz", nil)
	if err != nil {
		return Health{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Health{}, fmt.Errorf("ask whether the server is ready: %w", err)
	}
	defer resp.Body.Close()
	h := Health{Ready: resp.StatusCode == http.StatusOK}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		h.Expires = resp.TLS.PeerCertificates[0].NotAfter
	}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		h.Skew = now().Sub(at.Add(time.Second / 2)).Round(time.Second) // dates are cut off to whole seconds
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, largestHealth))
	if err != nil {
		return h, fmt.Errorf("read whether the server is ready: %w", err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return h, fmt.Errorf("ask whether the server is ready: %s: this is no Velocity server, or something is before it", resp.Status)
	}
	h.Conditions = string(text)
	return h, nil
}

// Alive asks a process whether it lives. The error is that it did not say so before
// ctx ended; ErrNoServer if nobody listens.
func (c *Client) Alive(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask whether the process lives: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("ask whether the process lives: %s", resp.Status)
	}
	return nil
}
