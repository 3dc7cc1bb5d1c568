package hooks

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
)

// firstRead is how much memory a body gets before any of it has come: a sender who
// promises much and sends nothing costs no more.
const firstRead = 16 << 10 // bytes

// A body is the bytes of a request, and the share of the gate's memory that they
// take.
type body struct {
	gate  *gate
	from  *place // in the crowd
	bytes []byte
	held  int64
}

// read reads the body of a request. Memory is taken as bytes come, never as they are
// promised; if there is none left, that is a refusal, as is a body that is too large,
// too slow or cut off. The server lifts the deadline before the next request.
func (g *gate) read(ctx context.Context, w http.ResponseWriter, r *http.Request, from *place) (*body, error) {
	ends, _ := ctx.Deadline()
	if err := http.NewResponseController(w).SetReadDeadline(ends); err != nil {
		return nil, noDeadline
	}
	limit := g.Limits.Body
	if r.ContentLength >= 0 {
		limit = r.ContentLength
	}
	b := &body{gate: g, from: from}
	if err := b.fill(http.MaxBytesReader(w, r.Body, limit), limit+1); err != nil {
		b.free()
		return nil, err
	}
	return b, nil
}

// fill reads to the end. The buffer never grows beyond most, which is more than
// there can be, so that the end is seen without growing for it.
func (b *body) fill(from io.Reader, most int64) error {
	for {
		if len(b.bytes) == cap(b.bytes) {
			if err := b.grow(min(max(2*int64(cap(b.bytes)), firstRead), most)); err != nil {
				return err
			}
		}
		n, err := from.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		var large *http.MaxBytesError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &large):
			return tooLarge
		case errors.Is(err, os.ErrDeadlineExceeded):
			return tooSlow
		default:
			return cutOff
		}
	}
}

func (b *body) grow(size int64) error {
	if !b.gate.crowd.hold(b.from, size) {
		return tooMany
	}
	if !b.gate.memory.TryAcquire(size) {
		b.gate.crowd.hold(b.from, -size)
		return tooBusy
	}
	larger := make([]byte, len(b.bytes), size)
	copy(larger, b.bytes)
	b.free()
	b.bytes, b.held = larger, size
	return nil
}

// free gives the memory back. An inbox that keeps the bytes answers for them itself.
func (b *body) free() {
	b.gate.memory.Release(b.held)
	b.gate.crowd.hold(b.from, -b.held)
	b.held = 0
}

// payload is the JSON in a form of GitHub. A form without one is kept as it came:
// whoever decodes it finds that it is no JSON.
func payload(form []byte) []byte {
	fields, err := url.ParseQuery(string(form))
	if err != nil || !fields.Has("payload") {
		return form
	}
	return []byte(fields.Get("payload"))
}
