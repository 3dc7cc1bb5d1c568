package parcel

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Pack writes what the patterns select below root, as Choose does, to w, and
// lists the regular files. Artifacts have links followed to the files that they
// lead to within root. An error that is not ErrRefused is one of the machine, of
// w or of ctx.
func Pack(ctx context.Context, w io.Writer, root *os.Root, patterns []string, kind Kind, limits Limits) ([]File, error) {
	names, err := Choose(root, patterns, limits.Files)
	if err != nil {
		return nil, explained(err)
	}
	out := &counter{w: w}
	z, err := zstd.NewWriter(out)
	if err != nil {
		return nil, err
	}
	p := &packer{ctx: ctx, root: root, kind: kind, limits: limits, tar: tar.NewWriter(z)}
	for _, name := range names {
		if err := p.add(name); err != nil {
			_ = z.Close() // what is written by now is of no use
			return nil, explained(err)
		}
	}
	if err := errors.Join(p.tar.Close(), z.Close()); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return p.files, limits.ratio(p.size, out.n)
}

// explained tells a file that cannot be read from a machine that cannot.
func explained(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) && (errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist)) {
		return refused("%s: %v", at.Path, at.Err)
	}
	return err
}

type packer struct {
	ctx     context.Context
	root    *os.Root
	kind    Kind
	limits  Limits
	tar     *tar.Writer
	files   []File
	entries int
	size    int64
}

func (p *packer) add(name string) error {
	if err := p.ctx.Err(); err != nil {
		return context.Cause(p.ctx)
	}
	info, err := p.root.Lstat(name)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return p.file(name, name)
	case mode.IsDir():
		if p.kind == Artifacts {
			return nil
		}
		return p.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(mode.Perm()), ModTime: info.ModTime()})
	case mode&fs.ModeSymlink != 0:
		return p.link(name, info)
	}
	return refused("%q is no regular file", name)
}

func (p *packer) link(name string, info fs.FileInfo) error {
	target, err := p.root.Readlink(name)
	if err != nil {
		return err
	}
	if p.kind == Artifacts {
		to, err := p.follow(name, target)
		if err != nil || to == "" {
			return err
		}
		return p.file(name, to)
	}
	if err := checkLink(name, target); err != nil {
		return err
	}
	return p.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: info.ModTime()})
}

// maxLinks is how many links may lead to a file, one to the other.
const maxLinks = 10

// follow finds the regular file that a link leads to; "" if it is a folder, whose
// files are chosen where they are.
func (p *packer) follow(name, target string) (string, error) {
	at := name
	for range maxLinks {
		if err := checkLink(at, target); err != nil {
			return "", err
		}
		at = path.Join(path.Dir(at), target)
		info, err := lstat(p.root, at)
		switch {
		case err != nil:
			return "", err
		case info == nil:
			return "", refused("%q links to %q, which is not there or leads through another link", name, target)
		case info.Mode().IsRegular():
			return at, nil
		case info.IsDir():
			return "", nil
		case info.Mode()&fs.ModeSymlink == 0:
			return "", refused("%q links to %q, which is no regular file", name, at)
		}
		if target, err = p.root.Readlink(at); err != nil {
			return "", err
		}
	}
	return "", refused("%q leads through more than %d links", name, maxLinks)
}

// file packs the regular file at path from as name.
func (p *packer) file(name, from string) error {
	// Opening a named pipe that took its place would wait for a writer.
	f, err := p.root.OpenFile(from, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return refused("%q is no regular file", from)
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()}
	if p.kind == Artifacts {
		h.Mode, h.ModTime = plainMode(info.Mode()), time.Time{}
	}
	p.size += info.Size()
	if err := p.header(h); err != nil {
		return err
	}
	return p.content(f, h)
}

// plainMode says only whether somebody may execute the file.
func plainMode(mode fs.FileMode) int64 {
	if mode&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

func (p *packer) content(f io.Reader, h *tar.Header) error {
	to, sum := io.Writer(p.tar), sha256.New()
	if p.kind == Artifacts {
		to = io.MultiWriter(p.tar, sum)
	}
	n, err := io.Copy(to, io.LimitReader(attended{p.ctx, f}, h.Size))
	if err != nil {
		return fmt.Errorf("pack %q: %w", h.Name, err)
	}
	if n != h.Size {
		return refused("%q became shorter while it was packed", h.Name)
	}
	file := File{Name: h.Name, Size: h.Size}
	if p.kind == Artifacts {
		file.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	p.files = append(p.files, file)
	return nil
}

func (p *packer) header(h *tar.Header) error {
	p.entries++
	if err := p.limits.count(p.entries, p.size); err != nil {
		return err
	}
	h.Format = tar.FormatPAX
	return p.tar.WriteHeader(h)
}

// A counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// An attended reader ends with its context.
type attended struct {
	ctx context.Context
	r   io.Reader
}

func (a attended) Read(b []byte) (int, error) {
	if a.ctx.Err() != nil {
		return 0, context.Cause(a.ctx)
	}
	return a.r.Read(b)
}
