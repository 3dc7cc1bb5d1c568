package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gocloud.dev/gcerrors"
)

// ErrKept says that a cache is there already: the first one stays.
var ErrKept = errors.New("it is kept already")

const caches = "caches/"

// usedEvery is how exactly it is known when a cache was read last.
const usedEvery = 24 * time.Hour

// cacheKey is where a cache is recorded. class is who may read it, name the digest
// of what it is for.
func cacheKey(class, name string) (string, error) {
	if class == "" || strings.Trim(class, "abcdefghijklmnopqrstuvwxyz") != "" {
		return "", fmt.Errorf("%.80q is no class of caches", class)
	}
	if err := (Ref{SHA256: name}).check(); err != nil {
		return "", fmt.Errorf("%.80q is no name of a cache", name)
	}
	return caches + class + "/" + name + ".json", nil
}

// OpenCache reads a cache; ErrNone if there is none. That it was read is noted.
func (s *Store) OpenCache(ctx context.Context, class, name string) (io.ReadCloser, Ref, error) {
	key, err := cacheKey(class, name)
	if err != nil {
		return nil, Ref{}, err
	}
	h := header{}
	if err := s.read(ctx, key, &h.Version, &h); err != nil {
		return nil, Ref{}, err
	}
	r, err := s.Open(ctx, h.ref())
	if errors.Is(err, ErrNone) { // it was damaged: the name is free again
		if err := s.bucket.Delete(ctx, key); err != nil && !none(err) {
			return nil, Ref{}, fmt.Errorf("drop %s: %w", key, err)
		}
		return nil, Ref{}, ErrNone
	}
	if err != nil {
		return nil, Ref{}, err
	}
	if now := s.now(); now.Sub(h.Used) >= usedEvery {
		h.Used = now
		if err := s.write(ctx, key, h, false); err != nil {
			return nil, Ref{}, errors.Join(err, r.Close())
		}
	}
	return r, h.ref(), nil
}

// KeepCache records a cache whose content was put; ErrKept if there is one.
func (s *Store) KeepCache(ctx context.Context, class, name string, ref Ref) error {
	key, err := cacheKey(class, name)
	if err != nil {
		return err
	}
	if err := s.mustHave(ctx, ref); err != nil {
		return fmt.Errorf("keep cache: %w", err)
	}
	now := s.now()
	err = s.write(ctx, key, header{Version: recordVersion, Created: now, Used: now, SHA256: ref.SHA256, Size: ref.Size}, true)
	if gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return ErrKept
	}
	return err
}

// HasCache reports whether a cache is there, without reading it.
func (s *Store) HasCache(ctx context.Context, class, name string) (bool, error) {
	key, err := cacheKey(class, name)
	if err != nil {
		return false, err
	}
	return s.bucket.Exists(ctx, key)
}
