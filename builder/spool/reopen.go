package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Reopen takes up a log that a process now dead was writing with Options that
// were Resumable; began is when it was created. What the files hold stays, and
// what comes is added.
func Reopen(dir, base string, began time.Time, o Options) (*Log, error) {
	l := Create(dir, base, o)
	l.began = began
	if err := l.reopen(); err != nil {
		return nil, fmt.Errorf("take up log: %w", err)
	}
	return l, nil
}

func (l *Log) reopen() (err error) {
	info, err := os.Stat(l.base + textEnding)
	if err == nil && info.Size() == 0 {
		return l.removeEmpty()
	}
	if err != nil {
		return absentIsFine(err) // nothing was printed yet
	}
	text, err := reopenFile(l.base + textEnding)
	if err != nil {
		return err
	}
	times, err := reopenFile(l.base + timesEnding)
	if err != nil {
		return errors.Join(err, text.Close())
	}
	streams, err := reopenFile(l.base + streamsEnding)
	if err != nil {
		return errors.Join(err, text.Close(), times.Close())
	}
	l.text, l.times, l.streams = text, &timesWriter{file: times}, &streamsWriter{file: streams}
	err = errors.Join(l.readText(), l.times.resume(l.size), l.streams.resume())
	if err != nil {
		return errors.Join(err, text.Close(), times.Close(), streams.Close())
	}
	return nil
}

func reopenFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0) }

func absentIsFine(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeEmpty removes the files of a log whose first byte never came: some may be
// missing.
func (l *Log) removeEmpty() (err error) {
	for _, ending := range []string{textEnding, timesEnding, streamsEnding} {
		err = errors.Join(err, absentIsFine(os.Remove(l.base+ending)))
	}
	return err
}

// readText counts and sums what the log holds.
func (l *Log) readText() error {
	buf := make([]byte, 256<<10)
	for {
		n, err := l.text.Read(buf)
		if n > 0 {
			l.sum.Write(buf[:n])
			l.lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
			l.ended = buf[n-1] == '\n'
			l.size += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// resume goes on behind the last whole mark. Marks that waited in the memory of
// the process that died are lost: their bytes have the time of the one before.
func (w *timesWriter) resume(size int64) error {
	data, err := io.ReadAll(w.file)
	if err != nil {
		return err
	}
	marks, err := ParseTimes(data)
	if err != nil {
		return err
	}
	whole := []byte(timesHeader)
	for _, m := range marks {
		whole = appendMark(whole, w.last, m)
		w.last, w.some = m, true
	}
	if w.last.Offset > size {
		return errors.New("its times go beyond its end")
	}
	w.flushed, w.size = w.last.Millis, int64(len(whole))
	return w.file.Truncate(w.size)
}

// resume goes on behind the last whole turn.
func (w *streamsWriter) resume() error {
	turns, whole, err := w.read()
	if err != nil {
		return err
	}
	if len(turns) > 0 {
		w.last, w.some = turns[len(turns)-1], true
	}
	return w.file.Truncate(int64(whole))
}

func (w *streamsWriter) read() (turns []turn, whole int, err error) {
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(w.file)
	if err != nil {
		return nil, 0, err
	}
	return parseStreams(data)
}

// End is how many bytes the log holds, and whether its last line has no end yet.
func (l *Log) End() (size int64, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size, !l.ended
}
