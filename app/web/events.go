package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// An eventStream sends server-sent events to one browser, which asks again by itself
// when it breaks off, with the id of the last event that it has.
type eventStream struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	within time.Duration // that one event must be taken
}

// DefaultPatience is how long a browser may take to take one event. A slower one is
// cut off instead of being waited for; it can go on where it was.
const DefaultPatience = 20 * time.Second

// backWithin is when a browser whose stream broke off asks again, in milliseconds.
const backWithin = 1000

// events begins a stream.
func (f *Front) events(w http.ResponseWriter) *eventStream {
	guarded(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // of proxies that would hold it back
	s := &eventStream{w, http.NewResponseController(w), cmp.Or(f.Patience, DefaultPatience)}
	_ = s.write(fmt.Appendf(nil, "retry: %d\n\n", backWithin)) // what follows fails too if this does
	return s
}

// send sends one event.
func (s *eventStream) send(event, id string, data any) error {
	text, err := encodeEvent(event, id, data)
	if err != nil {
		return err
	}
	return s.write(text)
}

// encodeEvent is an event as it is sent. Its data is one line of JSON: no text in it
// can begin another field or event. The id stays what it was with "".
func encodeEvent(event, id string, data any) ([]byte, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", event, err)
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	return fmt.Appendf(nil, "event: %s\n%sdata: %s\n\n", event, id, text), nil
}

// done leaves the connection as it was.
func (s *eventStream) done() { _ = s.rc.SetWriteDeadline(time.Time{}) }

// beat shows that the stream is still there.
func (s *eventStream) beat() error { return s.write([]byte(":\n\n")) }

func (s *eventStream) write(text []byte) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.within)) // where a connection has none, none is needed
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.rc.Flush()
}
