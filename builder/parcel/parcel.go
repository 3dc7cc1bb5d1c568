// Package parcel packs files of a workspace into one stream, and unpacks such a
// stream into another: a tar archive, compressed by zstd.
//
// Neither side is trusted. Who wrote the files wanted more of them than their
// content, perhaps, and a stream may have been written by anybody. So nothing is
// read or written beyond the root that is given, whatever links say; names are
// checked as they are and refused, never made better; and all of it is bounded
// before it is believed. A `.git` folder is never packed and never unpacked.
package parcel

import (
	"errors"
	"fmt"
)

// A Kind says what a parcel holds.
type Kind int

// The kinds of parcels.
const (
	// Artifacts are regular files for people and later tasks: with no times, and
	// with no rights but whether they can be executed. Equal files give equal bytes.
	Artifacts Kind = iota
	// Cache is what a later build goes on with: also folders and links within the
	// workspace, with their rights and times.
	Cache
)

// Limits bound a parcel, in both directions.
type Limits struct {
	Files int   // entries
	Bytes int64 // of all files, before compression
	Ratio int64 // of the bytes before compression to those after it, beyond the first freeBytes
}

// DefaultLimits are beyond what builds keep, and below what fills a disk by
// surprise.
func DefaultLimits() Limits { return Limits{Files: 500_000, Bytes: 50 << 30, Ratio: 1000} }

// freeBytes may be compressed as well as they can: a file of zeros is no attack.
const freeBytes = 256 << 20

// count refuses too many files, and too many bytes in them.
func (l Limits) count(files int, size int64) error {
	switch {
	case files > l.Files:
		return refused("there are more than %d files", l.Files)
	case size > l.Bytes:
		return refused("the files have more than %d bytes in all", l.Bytes)
	}
	return nil
}

// ratio refuses what is much smaller packed than unpacked.
func (l Limits) ratio(size, packed int64) error {
	if size > freeBytes && (size-freeBytes)/l.Ratio > packed {
		return refused("the files are more than %d times as large as their archive", l.Ratio)
	}
	return nil
}

// A File is a regular file in a parcel.
type File struct {
	Name   string // within the workspace, with slashes
	Size   int64  // bytes
	SHA256 string // of its content, hex; "" in a Cache
}

// ErrRefused is in each error that says what is wrong with the files or with the
// stream, as opposed to the machine: the same input is refused again.
var ErrRefused = errors.New("refused")

type refusal struct{ text string }

func (r *refusal) Error() string        { return r.text }
func (r *refusal) Is(target error) bool { return target == ErrRefused }

func refused(format string, args ...any) error {
	return &refusal{text: fmt.Sprintf(format, args...)}
}
