package parcel

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"
)

// Unpack puts what Pack wrote below root and returns how many files it was, and
// their bytes. It reads r to its end, and takes an error there for one of all.
// Artifacts take the place of files that are there; a Cache is refused then. After
// an error nothing is left of what Unpack made. One that is not ErrRefused is of
// the machine, of r or of ctx.
func Unpack(ctx context.Context, r io.Reader, root *os.Root, kind Kind, limits Limits) (files int, size int64, err error) {
	u := newUnpacker(root, kind)
	if err := u.finish(read(ctx, r, kind, limits, u.entry)); err != nil {
		return 0, 0, err
	}
	return u.files, u.size, nil
}

type unpacker struct {
	root    *os.Root
	kind    Kind
	seen    map[string]bool
	dirs    map[string]bool // that are there, and no links
	made    []string
	own     map[string]bool // the folders that were made
	folders []*tar.Header   // theirs: they may take the right to put something into them
	files   int
	size    int64
}

func newUnpacker(root *os.Root, kind Kind) *unpacker {
	return &unpacker{root: root, kind: kind, seen: map[string]bool{}, dirs: map[string]bool{".": true}, own: map[string]bool{}}
}

// finish completes what was unpacked, or takes it back if err is not nil.
func (u *unpacker) finish(err error) error {
	if err == nil {
		err = u.settle()
	}
	if err != nil {
		return errors.Join(err, u.undo())
	}
	return nil
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if u.seen[h.Name] {
		return refused("%q is there twice", h.Name)
	}
	u.seen[h.Name] = true
	if err := u.folder(path.Dir(h.Name)); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := u.folder(h.Name); err != nil {
			return err
		}
		u.folders = append(u.folders, h)
		return nil
	case tar.TypeSymlink:
		if err := u.root.Symlink(h.Linkname, h.Name); err != nil {
			return u.taken(h.Name, err)
		}
		u.made = append(u.made, h.Name)
		return nil
	}
	return u.file(h, content)
}

// folder makes a folder and those above it, as far as they are not there.
func (u *unpacker) folder(name string) error {
	if u.dirs[name] {
		return nil
	}
	for way := range ways(name) {
		if u.dirs[way] {
			continue
		}
		info, err := u.root.Lstat(way)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := u.root.Mkdir(way, 0o755); err != nil {
				return err
			}
			u.made, u.own[way] = append(u.made, way), true
		case err != nil:
			return err
		case !info.IsDir():
			return refused("%q is there already, and is no folder", way)
		}
		u.dirs[way] = true
	}
	return nil
}

func (u *unpacker) taken(name string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return refused("%q is there already", name)
	}
	return err
}

func (u *unpacker) file(h *tar.Header, content io.Reader) error {
	replaced := false
	if u.kind == Artifacts {
		info, err := u.root.Lstat(h.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case info.IsDir():
			return refused("%q is there already, and is a folder", h.Name)
		default:
			replaced = true
			if err := u.root.Remove(h.Name); err != nil {
				return err
			}
		}
	}
	f, err := u.root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(h.Mode)|0o200)
	if err != nil {
		return u.taken(h.Name, err)
	}
	if !replaced { // what stood there before cannot be brought back
		u.made = append(u.made, h.Name)
	}
	n, err := io.Copy(f, content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	u.files++
	u.size += n
	if u.kind == Artifacts {
		return nil
	}
	return u.dress(h)
}

// dress gives a file or folder its rights and its time.
func (u *unpacker) dress(h *tar.Header) error {
	if err := u.root.Chmod(h.Name, fs.FileMode(h.Mode)); err != nil {
		return err
	}
	return u.root.Chtimes(h.Name, time.Time{}, h.ModTime)
}

// settle dresses the folders that were made, the inner ones first.
func (u *unpacker) settle() error {
	for _, h := range slices.Backward(u.folders) {
		if !u.own[h.Name] {
			continue
		}
		if err := u.dress(h); err != nil {
			return err
		}
	}
	return nil
}

// undo removes what was made, the newest first.
func (u *unpacker) undo() error {
	var errs error
	for name := range u.own {
		errs = errors.Join(errs, u.root.Chmod(name, 0o755))
	}
	for _, name := range slices.Backward(u.made) {
		if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	return errs
}
