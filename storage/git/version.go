package git

import (
	"context"
	"fmt"
	"strings"
)

// oldest is the oldest git that everything here was tried with.
var oldest = [2]int{2, 39}

// Version asks the git binary for its version, as it says it, and whether that is
// one which everything here was tried with or a newer one.
func Version(ctx context.Context) (text string, tried bool, err error) {
	out, err := command{gitDir: noRepository, dir: "/", args: []string{"version"}}.run(ctx)
	if err != nil {
		return "", false, fmt.Errorf("ask git for its version: %w", err)
	}
	text = strings.TrimPrefix(strings.TrimSpace(string(out)), "git version ")
	var major, minor int
	if _, err := fmt.Sscanf(text, "%d.%d", &major, &minor); err != nil {
		return text, false, fmt.Errorf("git says that it is of version %.80q", text)
	}
	return text, major > oldest[0] || major == oldest[0] && minor >= oldest[1], nil
}
