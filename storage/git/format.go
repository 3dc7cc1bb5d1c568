package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/config"
)

// format is what a repository's configuration says about its form on disk.
type format struct {
	bare     bool
	precious bool // no object may ever be deleted
	partial  bool // objects may be missing here and live at the remote
	shared   sharing
}

// readFormat refuses what we would misread. An unknown extension may change the
// meaning of anything in the repository; that is what the mechanism is for.
func readFormat(path string) (format, error) {
	var form format
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return form, nil // legal: all defaults
	}
	if err != nil {
		return form, fmt.Errorf("read configuration: %w", err)
	}
	defer file.Close()
	cfg := config.New()
	if err := config.NewDecoder(file).Decode(cfg); err != nil {
		return form, fmt.Errorf("read configuration %s: %w", path, err)
	}
	core := cfg.Section("core")
	form.bare = isTrue(core.Option("bare"))
	if form.shared, err = parseSharing(core.Option("sharedRepository")); err != nil {
		return form, fmt.Errorf("read configuration %s: %w", path, err)
	}
	version := core.Option("repositoryformatversion")
	if n, err := strconv.Atoi(version); version != "" && (err != nil || n < 0 || n > 1) {
		return form, fmt.Errorf("%w: %s: version %s", ErrUnsupported, path, version)
	}
	for _, option := range cfg.Section("extensions").Options {
		if err := form.extend(option.Key, option.Value, version == "1"); err != nil {
			return form, fmt.Errorf("%s: %w", path, err)
		}
	}
	return form, nil
}

// extend notes one extension. Those of git's first format version count always,
// unknown ones only in version 1, where git would refuse them too.
func (f *format) extend(key, value string, strict bool) error {
	switch strings.ToLower(key) {
	case "noop", "worktreeconfig":
	case "preciousobjects":
		f.precious = isTrue(value)
	case "partialclone":
		f.partial = true
	case "objectformat":
		if value != "sha1" {
			return fmt.Errorf("%w: objects are %s, only sha1 is supported", ErrUnsupported, value)
		}
	case "refstorage":
		if value != "files" {
			return fmt.Errorf("%w: refs are kept as %s, only files are supported", ErrUnsupported, value)
		}
	default:
		if strict {
			return fmt.Errorf("%w: unknown extension %s", ErrUnsupported, key)
		}
	}
	return nil
}

// isTrue follows git: a key without a value is true as well, but no key that we
// read is written that way by git itself, and go-git gives "" for it.
func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "true", "yes", "on", "1":
		return true
	}
	return false
}
