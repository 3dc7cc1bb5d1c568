package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// An eventStream sends server-sent events to one browser, which asks again by itself
// when it breaks off, with the id of the last event that it has.
type eventStream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// takeWithin is how long a browser may take to take one event. A slower one is cut
// off instead of being waited for; it can go on where it was.
const takeWithin = 20 * time.Second

func events(w http.ResponseWriter) *eventStream {
	guarded(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // of proxies that would hold it back
	return &eventStream{w, http.NewResponseController(w)}
}

// send sends one event. Its data is one line of JSON: no text in it can begin
// another field or event. The id stays what it was with "".
func (s *eventStream) send(event, id string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("send %s: %w", event, err)
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	return s.write("event: " + event + "\n" + id + "data: " + string(text) + "\n\n")
}

// done leaves the connection as it was.
func (s *eventStream) done() { _ = s.rc.SetWriteDeadline(time.Time{}) }

// beat shows that the stream is still there.
func (s *eventStream) beat() error { return s.write(":\n\n") }

func (s *eventStream) write(text string) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(takeWithin)) // where a connection has none, none is needed
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.rc.Flush()
}
