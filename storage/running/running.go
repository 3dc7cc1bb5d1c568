// Package running keeps the architect's copies of logs that are still being
// written: what followers read until the log is in the ledger. The builder's
// spool is the source; a copy that is lost is sent again from its start.
package running

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// Logs keeps copies below a directory: <build>/<task>.<attempt>.{txt,times}. It
// is safe for concurrent use; chunks of one attempt should come one at a time. Who
// writes never waits for those who read, however many they are.
type Logs struct {
	dir string

	mu   sync.RWMutex
	open map[string]*file // by path
}

type file struct {
	size atomic.Int64 // grows under mu

	mu  sync.Mutex // of those who write
	f   *os.File
	sum hash.Hash
}

// New keeps logs below dir, which is made when it is first needed. Copies that an
// earlier process left are dropped: their builders send them again.
func New(dir string) (*Logs, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("clear running logs: %w", err)
	}
	return &Logs{dir: dir, open: map[string]*file{}}, nil
}

func (l *Logs) path(a dispatch.Attempt, kind dispatch.File) string {
	return filepath.Join(l.dir, strconv.FormatInt(a.Build.Number, 10), fmt.Sprintf("%s.%d.%s", a.Task, a.Number, kind))
}

// Write appends the part of a chunk that is new and returns the size of the copy.
// A chunk that would leave a gap is not taken: the returned size says where to go
// on from.
func (l *Logs) Write(c dispatch.Chunk) (int64, error) {
	f, err := l.file(l.path(c.Attempt, c.File))
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	have := f.size.Load()
	skip := have - c.Offset
	if skip < 0 || skip >= int64(len(c.Data)) {
		return have, nil
	}
	n, err := f.f.Write(c.Data[skip:])
	f.sum.Write(c.Data[skip : skip+int64(n)])
	have = f.size.Add(int64(n))
	if err != nil {
		return have, fmt.Errorf("keep log: %w", err)
	}
	return have, nil
}

// file is the copy at a path, which is made if there is none.
func (l *Logs) file(path string) (*file, error) {
	if f := l.find(path); f != nil {
		return f, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.open[path]; f != nil {
		return f, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keep log: %w", err)
	}
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep log: %w", err)
	}
	f := &file{f: w, sum: sha256.New()}
	l.open[path] = f
	return f, nil
}

// find is the copy at a path, or nil.
func (l *Logs) find(path string) *file {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.open[path]
}

// ErrIncomplete means that the copy is not what the builder says the log is. The
// builder sends what is missing and ends again.
var ErrIncomplete = errors.New("the copy of the log is incomplete")

// Finish names an attempt's files once they are as long and have the sum that
// the result says. An empty log has none.
func (l *Logs) Finish(r dispatch.Result) (build.LogFile, error) {
	out := build.LogFile{Task: r.Attempt.Task, Attempt: r.Attempt.Number}
	if r.Log.Bytes == 0 {
		return out, nil // there are no files
	}
	text, err := l.file(l.path(r.Attempt, dispatch.TextFile))
	if err != nil {
		return out, err
	}
	text.mu.Lock()
	size, sum := text.size.Load(), hex.EncodeToString(text.sum.Sum(nil))
	text.mu.Unlock()
	if size != r.Log.Bytes {
		return out, fmt.Errorf("%w: %d of %d bytes", ErrIncomplete, size, r.Log.Bytes)
	}
	if sum != r.Log.SHA256 {
		l.forget(r.Attempt) // a copy with a wrong byte is worth nothing: take it anew
		return out, fmt.Errorf("%w: its sum differs", ErrIncomplete)
	}
	out.Text = l.path(r.Attempt, dispatch.TextFile)
	if r.Times == 0 {
		return out, nil
	}
	times, err := l.file(l.path(r.Attempt, dispatch.TimesFile))
	if err != nil {
		return out, err
	}
	if size := times.size.Load(); size != r.Times {
		return out, fmt.Errorf("%w: %d of %d bytes of line times", ErrIncomplete, size, r.Times)
	}
	out.Times = l.path(r.Attempt, dispatch.TimesFile)
	return out, nil
}

// forget drops the copy of one attempt.
func (l *Logs) forget(a dispatch.Attempt) {
	for _, kind := range []dispatch.File{dispatch.TextFile, dispatch.TimesFile} {
		l.closeFile(l.path(a, kind))
	}
}

func (l *Logs) closeFile(path string) {
	l.mu.Lock()
	f := l.open[path]
	delete(l.open, path)
	l.mu.Unlock()
	if f != nil {
		f.mu.Lock()
		_ = f.f.Close() // a copy; what matters was read back from it
		f.mu.Unlock()
	}
}

// Drop forgets the logs of a build.
func (l *Logs) Drop(id build.ID) {
	dir := filepath.Join(l.dir, strconv.FormatInt(id.Number, 10))
	l.mu.Lock()
	var paths []string
	for path := range l.open {
		if filepath.Dir(path) == dir {
			paths = append(paths, path)
		}
	}
	l.mu.Unlock()
	for _, path := range paths {
		l.closeFile(path)
	}
	_ = os.RemoveAll(dir) // left over, it is cleared at the next start
}

// Read returns the text of an attempt's log from offset on, as far as it is
// there, at most limit bytes.
func (l *Logs) Read(a dispatch.Attempt, offset, limit int64) ([]byte, error) {
	path := l.path(a, dispatch.TextFile)
	if l.size(path) <= offset {
		return nil, nil // most looks find nothing new: they cost no look at the disk
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, offset, limit))
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return data, nil
}

// size is the length of a copy; 0 if there is none.
func (l *Logs) size(path string) int64 {
	f := l.find(path)
	if f == nil {
		return 0
	}
	return f.size.Load()
}
