package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// OriginURL is the address of the remote origin as the repository's own
// configuration has it, password included; "" if there is none.
func (r *Repository) OriginURL(ctx context.Context) (string, error) {
	out, err := r.git(ctx, "config", "--local", "--no-includes", "--null", "--get-all", "remote.origin.url")
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", nil // not set
	}
	if err != nil {
		return "", fmt.Errorf("read remote origin: %w", err)
	}
	first, _, _ := strings.Cut(string(out), "\x00") // from which git fetches
	return first, nil
}
