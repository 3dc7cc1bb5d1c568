package blob

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	cloud "gocloud.dev/blob"
)

// recordVersion stands in every record; others are not read.
const recordVersion = 1

// maxRecord bounds a record, in bytes: half a million files with long names stay
// below.
const maxRecord = 256 << 20

// A header is what all records have.
type header struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"` // of a cache: when it was read last, to the day
	SHA256  string    `json:"sha256,omitempty"`
	Size    int64     `json:"size"`
}

func (h header) ref() Ref { return Ref{SHA256: h.SHA256, Size: h.Size} }

// A File is one file within content.
type File struct {
	Name   string `json:"name"` // with slashes
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// write keeps a record. If it shall be a new one and there is one, it is
// errExists.
func (s *Store) write(ctx context.Context, key string, record any, anew bool) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if len(data) > maxRecord {
		return fmt.Errorf("encode %s: %d bytes are too many", key, len(data))
	}
	w, err := s.bucket.NewWriter(ctx, key, &cloud.WriterOptions{
		ContentType: "application/json", DisableContentTypeDetection: true, IfNotExist: anew,
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	_, err = io.Copy(w, bytes.NewReader(data))
	if err := errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// read reads a record; ErrNone if there is none.
func (s *Store) read(ctx context.Context, key string, version *int, into any) error {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if none(err) {
		return ErrNone
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	if r.Size() > maxRecord {
		return fmt.Errorf("read %s: %d bytes are too many", key, r.Size())
	}
	if err := json.NewDecoder(r).Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if *version != recordVersion {
		return fmt.Errorf("read %s: version %d is not known here (this program reads %d): use a newer velocity", key, *version, recordVersion)
	}
	return nil
}

// list yields what is kept below a prefix, by key.
func (s *Store) list(ctx context.Context, prefix string) iter.Seq2[*cloud.ListObject, error] {
	return func(yield func(*cloud.ListObject, error) bool) {
		all := s.bucket.List(&cloud.ListOptions{Prefix: prefix})
		for {
			one, err := all.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			if !yield(one, nil) {
				return
			}
		}
	}
}
