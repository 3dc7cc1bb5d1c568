package builder

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// maxDerived bounds what an executable may print, in bytes.
const maxDerived = 64 << 10

// A derivation is what the executable of a derived parameter prints. Keys that
// are not here are ignored: newer executables may say more.
type derivation struct {
	State   string            `json:"state"` // success, warning or failed
	Secret  bool              `json:"secret"`
	Exports map[string]string `json:"exports"`
	Expires string            `json:"expires"` // RFC 3339; "" is never
	Error   string            `json:"error"`
}

// parseDerivation reads an executable's standard output.
func parseDerivation(out []byte) (derivation, error) {
	var d derivation
	if err := json.Unmarshal(out, &d); err != nil {
		return d, fmt.Errorf("its output is not the JSON it should be: %w", err)
	}
	switch d.State {
	case "success", "warning", "failed":
		return d, nil
	}
	return d, fmt.Errorf("its state is %.40q: want success, warning or failed", d.State)
}

// expired reports whether the values are of no use at now.
func (d derivation) expired(now time.Time) (bool, error) {
	if d.Expires == "" {
		return false, nil
	}
	at, err := time.Parse(time.RFC3339, d.Expires)
	if err != nil {
		return false, fmt.Errorf("expires %.40q is not a time as RFC 3339 writes it", d.Expires)
	}
	return !now.Before(at), nil
}

// accept says why the values may not be used, if they may not.
func (d derivation) accept(exit int, now time.Time) error {
	if d.State == "failed" {
		if d.Error == "" {
			return errors.New("it failed without an error text")
		}
		return errors.New(d.Error)
	}
	if exit != 0 {
		return fmt.Errorf("exit %d although its state is %s", exit, d.State)
	}
	old, err := d.expired(now)
	if err == nil && old {
		err = fmt.Errorf("its values expired at %s", d.Expires)
	}
	return err
}

// A capture keeps the first maxDerived bytes it is given.
type capture struct {
	kept []byte
	more bool
}

func (c *capture) Write(p []byte) (int, error) {
	n := min(len(p), maxDerived-len(c.kept))
	c.kept = append(c.kept, p[:n]...)
	c.more = c.more || n < len(p)
	return len(p), nil
}
