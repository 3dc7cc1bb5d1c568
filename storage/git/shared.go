package git

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// A sharing is what core.sharedRepository asks for: bits that files get beside,
// or instead of, those that the umask leaves. The zero value changes nothing.
type sharing struct {
	bits  fs.FileMode
	exact bool // the bits replace the mode: the setting is a number
}

// Modes that words stand for.
const (
	groupBits    fs.FileMode = 0o660
	everyoneBits fs.FileMode = 0o664
)

// parseSharing reads the setting as git does.
func parseSharing(value string) (sharing, error) {
	switch value {
	case "", "umask":
		return sharing{}, nil
	case "group":
		return sharing{bits: groupBits}, nil
	case "all", "world", "everybody":
		return sharing{bits: everyoneBits}, nil
	}
	switch strings.ToLower(value) {
	case "false", "no", "off":
		return sharing{}, nil
	case "true", "yes", "on":
		return sharing{bits: groupBits}, nil
	}
	n, err := strconv.ParseUint(value, 8, 32)
	switch {
	case err != nil:
		return sharing{}, fmt.Errorf("core.sharedRepository is %.40q, which git does not know", value)
	case n == 0:
		return sharing{}, nil
	case n == 1: // old ways to write group and all
		return sharing{bits: groupBits}, nil
	case n == 2:
		return sharing{bits: everyoneBits}, nil
	case n&0o600 != 0o600:
		return sharing{}, fmt.Errorf("core.sharedRepository is %s: the owner must be able to read and write", value)
	}
	return sharing{bits: fs.FileMode(n) & 0o666, exact: true}, nil
}

// mode is what a file or folder of the given mode shall have. Files that nobody
// may write stay so; who may read a folder may enter it, and what is made in one
// belongs to its group.
func (s sharing) mode(old fs.FileMode) fs.FileMode {
	if s.bits == 0 {
		return old
	}
	bits := s.bits
	if old&0o200 == 0 {
		bits &^= 0o222
	}
	if old&0o100 != 0 {
		bits |= bits & 0o444 >> 2
	}
	next := old | bits
	if s.exact {
		next = old&^fs.ModePerm | bits
	}
	if old.IsDir() {
		next |= next & 0o444 >> 2
		if next&0o060 != 0 {
			next |= fs.ModeSetgid
		}
	}
	return next
}

// apply gives a file or folder that this process has made its mode.
func (s sharing) apply(path string) error {
	if s.bits == 0 {
		return nil
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	next := s.mode(info.Mode())
	if next == info.Mode() {
		return nil
	}
	return os.Chmod(path, next&(fs.ModePerm|fs.ModeSetgid|fs.ModeSetuid|fs.ModeSticky))
}

// Share gives a file or folder that the caller has made the mode that git would
// give it (core.sharedRepository): other users of the repository may need it.
func (r *Repository) Share(path string) error {
	if err := r.disk.shared.apply(path); err != nil {
		return fmt.Errorf("share %s: %w", path, err)
	}
	return nil
}

// MakeFolder makes a folder below the git folder, and those above it, shared as
// git's own are; they are durable when it returns.
func (r *Repository) MakeFolder(dir string) error { return r.disk.folder(dir) }

// OpenShared is os.OpenFile for a file of ours below the git folder, which other
// users of the repository open, too.
func (r *Repository) OpenShared(path string, flag int, perm fs.FileMode) (*os.File, error) {
	file, err := os.OpenFile(path, flag&^os.O_CREATE, 0)
	if err == nil || flag&os.O_CREATE == 0 || !os.IsNotExist(err) {
		return file, err
	}
	// Only who makes the file may change its mode.
	file, err = os.OpenFile(path, flag|os.O_EXCL, perm)
	if os.IsExist(err) {
		return os.OpenFile(path, flag&^os.O_CREATE, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := r.Share(path); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}
