package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// logRaw sends a log as it was printed: never as a page that a browser would run. Of
// one that is over any part can be asked for.
func (f *Front) logRaw(w http.ResponseWriter, r *http.Request, s *Server) {
	v, ok := f.theLog(w, r, s)
	if !ok {
		return
	}
	size, err := v.size()
	if err != nil {
		f.broken(w, r, err)
		return
	}
	guarded(w)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	name := fmt.Sprintf("%s.%s.%d.txt", v.b.ID, v.task.Key, v.attempt)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	text := &rawLog{v: v, size: size}
	if size > 0 {
		http.ServeContent(w, r, "", time.Time{}, text)
	} else if _, err = io.Copy(w, text); err == nil {
		return // all that there is
	}
	if text.err != nil {
		f.Log.Warn("log not sent", "build", v.b.ID.String(), "task", v.task.Key, "err", text.err)
		panic(http.ErrAbortHandler) // half of it must not look like all
	}
}

// size is how many bytes the log has, if all of it is here; 0 if that is not known.
func (v *logView) size() (int64, error) {
	size := int64(0)
	if v.attempt == v.task.Attempt && v.ended(v.b) {
		size = v.task.Log.Bytes
	}
	for _, past := range v.task.Retried {
		if past.Attempt == v.attempt {
			size = past.Log.Bytes
		}
	}
	if size == 0 {
		return 0, nil
	}
	last, err := v.read(size-1, 2)
	if err != nil || len(last) != 1 {
		return 0, err // it was removed, or is not what was said
	}
	return size, nil
}

// A rawLog reads a log as a file, for one goroutine.
type rawLog struct {
	v    *logView
	size int64 // 0 if it is not known
	at   int64
	held []byte // what was read from at on
	err  error  // of the last reading that failed
}

func (l *rawLog) Read(p []byte) (int, error) {
	if len(l.held) == 0 {
		if l.held, l.err = l.v.read(l.at, blockSize); l.err != nil {
			return 0, l.err
		}
		if len(l.held) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, l.held)
	l.held, l.at = l.held[n:], l.at+int64(n)
	return n, nil
}

// errBeforeBegin is for a place before the first byte.
var errBeforeBegin = errors.New("a place before the log's beginning")

// Seek goes to a place, as io.Seeker says.
func (l *rawLog) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += l.at
	case io.SeekEnd:
		offset += l.size
	}
	if offset < 0 {
		return 0, errBeforeBegin
	}
	if offset != l.at {
		l.at, l.held = offset, nil
	}
	return offset, nil
}
