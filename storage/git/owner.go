package git

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// checkOwner lets a repository pass that is ours, as git defines it, or that the
// user declared safe; it returns the declaration that our git calls must repeat.
func checkOwner(ctx context.Context, loc location) (safe string, err error) {
	parts := []string{loc.gitDir, loc.commonDir}
	subject := loc.gitDir
	if loc.workTree != "" {
		parts = append(parts, loc.workTree)
		subject = loc.workTree
	}
	if loc.gitFile != "" {
		parts = append(parts, loc.gitFile)
	}
	for _, part := range parts {
		info, err := os.Lstat(part)
		if err != nil {
			return "", fmt.Errorf("check owner: %w", err)
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || ours(stat.Uid) {
			continue
		}
		declared, err := declaredSafe(ctx, subject)
		if err != nil {
			return "", err
		}
		if !declared {
			return "", &OwnerError{Path: subject, Owner: userName(stat.Uid)}
		}
		return subject, nil
	}
	return "", nil
}

// ours also accepts, for root behind sudo, what belongs to the calling user.
func ours(uid uint32) bool {
	self := os.Geteuid()
	if int(uid) == self {
		return true
	}
	return self == 0 && os.Getenv("SUDO_UID") == strconv.Itoa(int(uid))
}

func userName(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// declaredSafe asks for the user's own safe.directory settings. Those of the
// repository itself do not count: it cannot vouch for itself.
func declaredSafe(ctx context.Context, path string) (bool, error) {
	values, err := userSetting(ctx, noRepository, "safe.directory")
	if err != nil {
		return false, fmt.Errorf("read safe.directory: %w", err)
	}
	safe := false
	for _, value := range values {
		parent, below := strings.CutSuffix(value, "/*")
		switch {
		case value == "": // an empty value takes back all before it
			safe = false
		case value == "*", value == path, below && strings.HasPrefix(path, parent+"/"):
			safe = true
		}
	}
	return safe, nil
}
