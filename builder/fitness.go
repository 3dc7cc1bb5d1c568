package builder

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// presence is what the builder says of itself.
func (b *Builder) presence() dispatch.Presence {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := dispatch.Presence{
		Builder: b.Name, Boot: b.Boot, Capacity: b.Capacity,
		Labels: b.Labels, Untrusted: b.Untrusted, Version: b.Version,
		Mirrors: slices.Clone(b.fetched), FreeDisk: b.free,
	}
	switch {
	case b.halted:
		p.Reason = "builder is stopping"
	case b.draining:
		p.Reason = "builder is draining"
	case b.unfit != "":
		p.Reason = b.unfit
	default:
		p.Reason = b.aversion(dispatch.Assignment{})
	}
	p.Draining = p.Reason != ""
	if b.Docker != nil || b.HostForImages { // it takes steps with an image
		p.Executors = append(p.Executors, "docker")
	}
	if b.Docker != nil && b.Compose != nil {
		p.Executors = append(p.Executors, "compose")
	}
	if b.Host != nil {
		p.Executors = append(p.Executors, "host")
	}
	for a := range b.slots {
		p.Running = append(p.Running, a)
	}
	return p
}

// examine looks whether the builder may take work, after a sign of life that the
// architect heard or did not.
func (b *Builder) examine(heard bool) {
	unfit := ""
	free, err := freeDisk(b.SpoolDir)
	if err == nil {
		unfit, err = b.shortage(free)
	}
	if err != nil {
		unfit = err.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if heard || b.heard.IsZero() {
		b.heard = b.Now()
	}
	switch {
	case unfit == b.unfit:
	case unfit == "":
		b.Log.Info("builder takes work again")
	case b.unfit == "":
		b.Log.Warn("builder takes nothing new", slog.String("reason", unfit))
	}
	b.unfit, b.free = unfit, free
}

// maxMirrors bounds the repositories that a sign of life mentions.
const maxMirrors = 64

// hasFetched notes that there is a mirror of a repository now.
func (b *Builder) hasFetched(repository string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fetched = slices.DeleteFunc(b.fetched, func(have string) bool { return have == repository })
	b.fetched = append(b.fetched, repository)
	b.fetched = b.fetched[max(0, len(b.fetched)-maxMirrors):]
}

// unfitness is why nothing new is taken for now, or "". The caller holds b.mu.
func (b *Builder) unfitness() string {
	if b.Lease > 0 && !b.heard.IsZero() && b.Now().Sub(b.heard) > b.Lease {
		return "the architect has not answered this builder for " + b.Lease.String()
	}
	return b.unfit
}

// shortage says which room is lacking, or "".
func (b *Builder) shortage(free int64) (string, error) {
	if free < b.DiskFloor {
		return fmt.Sprintf("disk: %d MiB are free, below the floor of %d MiB", free>>20, b.DiskFloor>>20), nil
	}
	if b.SpoolLimit > 0 {
		used, err := diskUse(b.SpoolDir)
		if err != nil {
			return "", err
		}
		if used >= b.SpoolLimit {
			return fmt.Sprintf("spool: logs that the architect has not taken hold %d MiB, the limit is %d MiB", used>>20, b.SpoolLimit>>20), nil
		}
	}
	return "", nil
}

// freeDisk is how many bytes this user may still write where dir is.
func freeDisk(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // other systems have other types here
}

// diskUse is how many bytes the files below dir take on the disk. What vanishes
// meanwhile or may not be looked into is not counted.
func diskUse(dir string) (int64, error) {
	var used int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil {
			used += blocks(info)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	return used, nil
}

// blocks is what a file takes on the disk, in bytes: a sparse one less than its
// length, a short one more.
func blocks(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512 // whatever the file system's own block is
	}
	return info.Size()
}
