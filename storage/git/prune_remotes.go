package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// ConfiguredRemotes lists the names of the remotes in the repository's own
// configuration, sorted. They are any text that people wrote.
func (r *Repository) ConfiguredRemotes(ctx context.Context) ([]string, error) {
	out, err := r.git(ctx, "config", "--local", "--null", "--name-only", "--get-regexp", `^remote\..*\.(url|pushurl)$`)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil, nil // none
	}
	if err != nil {
		return nil, fmt.Errorf("list remotes: %w", err)
	}
	var names []string
	for key := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		name := strings.TrimPrefix(key[:strings.LastIndexByte(key, '.')], "remote.")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
