package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	cloud "gocloud.dev/blob"
)

// grace is how long content stays that no record names: somebody may be about to
// write the record.
const grace = 24 * time.Hour

// errOther says that a reader did not bring what it was said to.
var errOther = errors.New("the bytes are not those that were announced")

// Put keeps content. All of r must be what ref says, or nothing is kept. Content
// that is there already is not written again.
func (s *Store) Put(ctx context.Context, ref Ref, r io.Reader) error {
	if err := ref.check(); err != nil {
		return err
	}
	if s.fresh(ctx, ref) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.bucket.NewWriter(ctx, ref.key(), &cloud.WriterOptions{ContentType: "application/zstd", DisableContentTypeDetection: true})
	if err != nil {
		return fmt.Errorf("keep content: %w", err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(r, ref.Size+1))
	if err == nil && (n != ref.Size || hex.EncodeToString(sum.Sum(nil)) != ref.SHA256) {
		err = errOther
	}
	if err != nil {
		cancel() // what was written by now is dropped by Close
		_ = w.Close()
		return fmt.Errorf("keep content: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("keep content: %w", err)
	}
	return nil
}

// fresh reports whether the content is there for long enough that a record can
// still be written.
func (s *Store) fresh(ctx context.Context, ref Ref) bool {
	have, err := s.bucket.Attributes(ctx, ref.key())
	return err == nil && have.Size == ref.Size && s.now().Sub(have.ModTime) < grace/2
}

// has reports whether content is there, in its full length.
func (s *Store) has(ctx context.Context, ref Ref) (bool, error) {
	have, err := s.bucket.Attributes(ctx, ref.key())
	if none(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for content: %w", err)
	}
	return have.Size == ref.Size, nil
}

// Open reads content. If it turns out to be damaged, its end is ErrDamaged instead
// of io.EOF, and it is dropped: it is of no use to anybody. ErrNone if it is gone.
func (s *Store) Open(ctx context.Context, ref Ref) (io.ReadCloser, error) {
	if err := ref.check(); err != nil {
		return nil, err
	}
	r, err := s.bucket.NewReader(ctx, ref.key(), nil)
	if none(err) {
		return nil, fmt.Errorf("read content %s: %w", ref.SHA256, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	drop := func() error { return s.bucket.Delete(context.WithoutCancel(ctx), ref.key()) }
	return &verified{ReadCloser: r, ref: ref, sum: sha256.New(), drop: drop}, nil
}

// A verified reader checks what was read before it tells of the end.
type verified struct {
	io.ReadCloser
	ref  Ref
	sum  hash.Hash
	n    int64
	drop func() error
}

func (v *verified) Read(b []byte) (int, error) {
	n, err := v.ReadCloser.Read(b)
	v.sum.Write(b[:n])
	v.n += int64(n)
	if !errors.Is(err, io.EOF) || v.n == v.ref.Size && hex.EncodeToString(v.sum.Sum(nil)) == v.ref.SHA256 {
		return n, err
	}
	return n, errors.Join(fmt.Errorf("content %s: %w", v.ref.SHA256, ErrDamaged), v.drop())
}
