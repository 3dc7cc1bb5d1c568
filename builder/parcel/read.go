package parcel

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/klauspost/compress/zstd"
)

// Extract writes the content of one regular file to w, as Unpack would make it.
// fs.ErrNotExist is in the error if there is no such file. All of r is read: only
// its end shows whether it is whole.
func Extract(ctx context.Context, r io.Reader, name string, kind Kind, limits Limits, w io.Writer) error {
	found := false
	err := read(ctx, r, kind, limits, func(h *tar.Header, content io.Reader) error {
		if h.Name != name || h.Typeflag != tar.TypeReg || found {
			return nil
		}
		found = true
		_, err := io.Copy(w, content)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("%q: %w", name, fs.ErrNotExist)
	}
	return err
}

// maxWindow bounds what is kept of a stream to unpack it, in bytes. Pack needs no
// more.
const maxWindow = 32 << 20

// read calls take with each entry that is fit for a parcel of that kind.
func read(ctx context.Context, r io.Reader, kind Kind, limits Limits, take func(*tar.Header, io.Reader) error) error {
	in := &countedReader{r: attended{ctx, r}}
	z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
	if err != nil {
		return err
	}
	defer z.Close()
	if err := entries(&gauge{r: z, in: in, limits: limits}, kind, limits, take); err != nil {
		return in.blame(err)
	}
	switch n, err := z.Read(make([]byte, 1)); {
	case n > 0:
		return refused("something follows the archive")
	case !errors.Is(err, io.EOF):
		return in.blame(err)
	case in.n.Load() == 0:
		return refused("there is no archive")
	}
	return nil
}

// entries is read after decompression.
func entries(r io.Reader, kind Kind, limits Limits, take func(*tar.Header, io.Reader) error) error {
	archive := tar.NewReader(r)
	size := int64(0)
	for n := 1; ; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if size += h.Size; h.Size < 0 || size < 0 {
			return refused("%q: a size of %d", h.Name, h.Size)
		}
		if err := errors.Join(limits.count(n, size), checkHeader(h, kind)); err != nil {
			return err
		}
		if err := take(h, archive); err != nil {
			return err
		}
	}
}

// A gauge refuses a stream that grows too much as it is unpacked.
type gauge struct {
	r      io.Reader
	in     *countedReader
	limits Limits
	n      int64
}

func (g *gauge) Read(b []byte) (int, error) {
	n, err := g.r.Read(b)
	g.n += int64(n)
	if bomb := g.limits.ratio(g.n, g.in.n.Load()); bomb != nil {
		return n, bomb
	}
	return n, err
}

// A countedReader remembers how reading failed: all else is the stream's fault.
// The decoder reads ahead in a goroutine of its own.
type countedReader struct {
	r   io.Reader
	n   atomic.Int64
	err atomic.Pointer[error]
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		c.err.Store(&err)
	}
	return n, err
}

// blame tells who is at fault: the reader, the machine, or the stream.
func (c *countedReader) blame(err error) error {
	var at *fs.PathError
	var call syscall.Errno
	switch {
	case c.err.Load() != nil:
		return fmt.Errorf("unpack: %w", *c.err.Load())
	case errors.Is(err, ErrRefused):
		return err
	case errors.As(err, &at), errors.As(err, &call):
		return fmt.Errorf("unpack: %w", err)
	}
	return refused("the archive is damaged: %v", err)
}

// checkHeader accepts what Pack writes.
func checkHeader(h *tar.Header, kind Kind) error {
	name, folder := strings.CutSuffix(h.Name, "/")
	if folder != (h.Typeflag == tar.TypeDir) {
		return refused("%q: its name and its type differ", h.Name)
	}
	h.Name = name
	if err := checkName(h.Name); err != nil {
		return err
	}
	for key := range h.PAXRecords {
		if !slices.Contains([]string{"path", "linkpath", "mtime", "size"}, key) {
			return refused("%q has the attribute %q", h.Name, key)
		}
	}
	if h.Mode&^0o777 != 0 {
		return refused("%q has the mode %#o", h.Name, h.Mode)
	}
	switch {
	case h.Typeflag == tar.TypeReg:
		return nil
	case kind == Cache && h.Typeflag == tar.TypeDir:
		return nil
	case kind == Cache && h.Typeflag == tar.TypeSymlink:
		return checkLink(h.Name, h.Linkname)
	}
	return refused("%q is of a type that is not allowed here (%q)", h.Name, h.Typeflag)
}
