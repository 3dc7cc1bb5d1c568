// Package spool keeps the log of an attempt on the builder's disk: masked bytes
// in the order in which they came, a time for every line, capped per step.
//
// A log is two files. <base>.txt holds the bytes and nothing else. <base>.times
// holds the times, in version 1 of this format:
//
//	file  = "velocity-times 1\n" mark*
//	mark  = uvarint(offset - offset before) uvarint(milliseconds - milliseconds before)
//
// A mark says when the bytes from its offset on, up to the next mark, were
// written, in milliseconds since the log began. The time of a line is that of
// its first byte. Offsets and milliseconds never decrease; the first mark counts
// from zero. A file that ends within a mark was cut off by a crash, and reads as
// if that mark were not there.
//
// A Resumable log has a third, <base>.streams, for a process that takes it up
// again after a kill: by it the builder knows how much of each stream the log
// holds.
//
//	file  = "velocity-streams 1\n" turn*
//	turn  = uvarint((offset - offset before) * 4 + origin)
//
// A turn says that the bytes from its offset on, up to the next turn, came from
// a step's standard output (origin 0), its standard error (1), or were kept back
// and written at its end (2).
//
// The files come into being with the first byte: a step that prints nothing, and
// most print nothing, costs nothing. They are not synced while they grow: what a
// power cut takes from them it takes from an attempt that died with the machine
// and is tried again. A Durable log is synced by Close, for its attempt has ended
// and its result must not be without it; others end with their process, or are
// durable elsewhere once the architect acknowledges them.
//
// No caller can make a log fail a step: errors of the disk are kept for Err and
// Close, and writers go on swallowing what the step prints.
package spool

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// defaultCap is the cap of a step's log in bytes unless Options say otherwise.
const defaultCap = 64 << 20

// Options of a log. Now must be set, the rest may be zero.
type Options struct {
	Now func() time.Time

	// After calls f once, in a goroutine of its own, when d has passed, unless
	// stop was called before. Nil means time.AfterFunc.
	After func(d time.Duration, f func()) (stop func() bool)

	// Cap is the most bytes a step may leave in the log, the line that says how
	// many are missing not counted. Zero means 64 MiB.
	Cap int64

	// Durable makes Close return once a power cut cannot take the bytes any more.
	// The entries in the directory are the caller's to sync.
	Durable bool

	// Resumable keeps what Reopen needs.
	Resumable bool

	// OnAppend, unless nil, is told of every run of bytes once the file has it,
	// in order and never twice at the same time. It must not keep p, and not
	// call the log.
	OnAppend func(offset int64, p []byte)
}

// A Log is the log of one attempt. It is safe for concurrent use.
type Log struct {
	o     Options
	base  string // path without endings
	began time.Time

	mu      sync.Mutex
	text    *os.File // nil before the first byte
	times   *timesWriter
	streams *streamsWriter // nil unless Resumable
	size    int64
	lines   int64
	ended   bool // the last byte was a newline, or there is none
	sum     hash.Hash
	err     error // the first error of the disk; nothing is written after it
}

// A Summary is what a finished log holds.
type Summary struct {
	Size   int64 // bytes
	Lines  int64 // a last one without newline counts
	Times  int64 // bytes of the file of times
	SHA256 [sha256.Size]byte
}

// Create begins a log in dir, which must exist by the first byte. Files that are
// there already are an error then: no attempt writes into the log of another.
func Create(dir, base string, o Options) *Log {
	if o.Cap == 0 {
		o.Cap = defaultCap
	}
	if o.After == nil {
		o.After = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	return &Log{o: o, base: filepath.Join(dir, base), began: o.Now(), ended: true, sum: sha256.New()}
}

// open makes the files. The caller holds l.mu.
func (l *Log) open() error {
	text, err := create(l.base + textEnding)
	if err != nil {
		return err
	}
	times, err := create(l.base + timesEnding)
	if err != nil {
		return errors.Join(err, text.Close(), os.Remove(text.Name()))
	}
	l.text, l.times = text, newTimesWriter(times)
	if err := l.times.flush(); err != nil || !l.o.Resumable { // the header, so that a crash leaves a file one can read
		return err
	}
	streams, err := create(l.base + streamsEnding)
	if err != nil {
		return err
	}
	l.streams, err = newStreamsWriter(streams)
	return err
}

// Endings of a log's files.
const (
	textEnding    = ".txt"
	timesEnding   = ".times"
	streamsEnding = ".streams"
)

func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
}

// Err returns the first error of the disk. Once there is one the log is no
// longer whole, and the attempt should end as interrupted.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure()
}

func (l *Log) failure() error {
	if l.err == nil {
		return nil
	}
	return fmt.Errorf("write log: %w", l.err)
}

// Close ends the log. All its steps must be closed. The Summary tells what was
// written even if there is an error. A log of no bytes has no files.
func (l *Log) Close() (Summary, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(l.times.flush())
	if l.text != nil {
		l.note(l.closeFile(l.text))
		l.note(l.closeFile(l.times.file))
	}
	if l.streams != nil {
		l.note(l.streams.file.Close()) // no use to anybody any more
	}
	s := Summary{Size: l.size, Lines: l.lines}
	if l.times != nil {
		s.Times = l.times.size
	}
	if !l.ended {
		s.Lines++
	}
	l.sum.Sum(s.SHA256[:0])
	return s, l.failure()
}

func (l *Log) closeFile(f *os.File) error {
	if !l.o.Durable {
		return f.Close()
	}
	return errors.Join(f.Sync(), f.Close())
}

func (l *Log) note(err error) {
	if l.err == nil {
		l.err = err
	}
}

// now is the time since the log began.
func (l *Log) now() int64 { return max(0, l.o.Now().Sub(l.began).Milliseconds()) }
