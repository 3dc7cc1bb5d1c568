package hooks

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// A Receiver is what the handlers of all forges have in common.
type Receiver struct {
	Inbox Inbox
	Now   func() time.Time
	Log   *slog.Logger
	// Refused is told of each request that was not taken: why, in one of a few fixed
	// texts, and the address it came from. It is called by many goroutines at once,
	// and must not block. It may be nil.
	Refused func(reason, source string)
	Limits  Limits
}

// Limits bound what strangers can use up. A zero field stands for the usual.
type Limits struct {
	Body    int64         // bytes of one body; 25 MiB, the most that forges send
	Memory  int64         // bytes of all bodies that are in memory; 128 MiB
	Readers int           // requests that are being read; 2048
	Source  int           // of them, from one address; 256
	Watched int           // of them, from one address that was refused much lately; 16
	Time    time.Duration // for one request, until it is kept; 9 s, as forges hang up after 10
}

func (l *Limits) fill() {
	if l.Body == 0 {
		l.Body = 25 << 20
	}
	if l.Memory == 0 {
		l.Memory = 128 << 20
	}
	if l.Readers == 0 {
		l.Readers = 2048
	}
	if l.Source == 0 {
		l.Source = 256
	}
	if l.Watched == 0 {
		l.Watched = 16
	}
	if l.Time == 0 {
		l.Time = 9 * time.Second
	}
}

// sourceMemory bounds the bytes of bodies of one address that are in memory: the
// largest one needs two thirds of it while it grows.
const sourceMemory = 64 << 20

// A gate lets requests in: what is the same for all forges, and in which order.
type gate struct {
	Receiver
	readers *semaphore.Weighted // of requests
	memory  *semaphore.Weighted // of bytes
	crowd   *crowd
}

func newGate(r Receiver) *gate {
	r.Limits.fill()
	return &gate{
		Receiver: r,
		readers:  semaphore.NewWeighted(int64(r.Limits.Readers)),
		memory:   semaphore.NewWeighted(r.Limits.Memory),
		crowd:    newCrowd(),
	}
}

// A claim is what the headers of a request say of its sender, looked at as far as
// that goes without the body.
type claim struct {
	event string
	// proven decides by the body as it was sent; nil if the headers were proof.
	proven func(body []byte) bool
	key    func(body []byte) string
}

// A dialect is how one forge proves itself.
type dialect interface {
	// claim returns a *refusal if the headers cannot be those of a proven sender.
	claim(h http.Header, now time.Time) (claim, error)
	// forms reports whether deliveries may come as HTML forms.
	forms() bool
	name() string
}

// serve answers one request. Nothing is done for a sender who is not proven, beyond
// reading a body of bounded size in bounded time, and that only if the headers fit.
func (g *gate) serve(w http.ResponseWriter, r *http.Request, forge dialect) {
	from := source(r)
	at := g.crowd.of(from)
	err := g.take(w, r, forge, at)
	var no *refusal
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
		return
	case !errors.As(err, &no):
		g.Log.ErrorContext(r.Context(), "a delivery could not be kept", "forge", forge.name(), "error", err)
		no = notKept
	}
	if no.blamed() {
		g.crowd.blame(at, g.Now())
	}
	if g.Refused != nil {
		g.Refused(no.reason, from)
	}
	no.answer(w)
}

func (g *gate) take(w http.ResponseWriter, r *http.Request, forge dialect, at *place) error {
	form, err := g.admit(r, forge)
	if err != nil {
		return err
	}
	said, err := forge.claim(r.Header, g.Now())
	if err != nil {
		return err
	}
	if !g.readers.TryAcquire(1) {
		return tooBusy
	}
	defer g.readers.Release(1)
	if !g.crowd.enter(at, g.Now(), g.Limits) {
		return tooMany
	}
	defer g.crowd.leave(at)
	ctx, cancel := context.WithTimeout(r.Context(), g.Limits.Time)
	defer cancel()
	b, err := g.read(ctx, w, r, at)
	if err != nil {
		return err
	}
	defer b.free()
	if said.proven != nil && !said.proven(b.bytes) {
		return badSignature
	}
	d := Delivery{Forge: forge.name(), Key: said.key(b.bytes), Event: said.event, Body: b.bytes, Received: g.Now()}
	if form {
		d.Body = payload(b.bytes)
	}
	return g.Inbox.Accept(ctx, d)
}

// admit looks at what kind of request it is, and whether it is an HTML form.
func (g *gate) admit(r *http.Request, forge dialect) (form bool, err error) {
	switch {
	case r.Method != http.MethodPost:
		return false, badMethod
	case r.ContentLength > g.Limits.Body:
		return false, tooLarge
	case r.Header.Get("Content-Encoding") != "":
		return false, badEncoding
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	form = kind == "application/x-www-form-urlencoded"
	if err != nil || kind != "application/json" && (!form || !forge.forms()) {
		return false, badType
	}
	return form, nil
}

// source is the address that a request came from, without the port, which would make
// each request a source of its own.
func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
