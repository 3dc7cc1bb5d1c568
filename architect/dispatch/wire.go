package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/build"
)

// wireVersion is sent with every message; a receiver refuses what it does not know.
const wireVersion = 1

// envelope is the form of every message but a chunk.
type envelope[T any] struct {
	Version int `json:"version"`
	Body    T   `json:"body"`
}

func encode[T any](body T) ([]byte, error) {
	data, err := json.Marshal(envelope[T]{Version: wireVersion, Body: body})
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", body, err)
	}
	return data, nil
}

func decode[T any](data []byte) (T, error) {
	var e envelope[T]
	if err := json.Unmarshal(data, &e); err != nil {
		return e.Body, fmt.Errorf("decode %T: %w", e.Body, err)
	}
	if e.Version != wireVersion {
		return e.Body, fmt.Errorf("decode %T: version %d is not known here (this program speaks %d)", e.Body, e.Version, wireVersion)
	}
	return e.Body, nil
}

// stop is the body of a cancel request.
type stop struct {
	Attempt Attempt
	Reason  string
}

// answer is what every request gets back.
type answer struct {
	Fault   fault  `json:"fault,omitempty"`
	Message string `json:"message,omitempty"`
	Offset  int64  `json:"offset,omitempty"` // of a log: the bytes the architect has
}

// A fault is the part of an error that the other side branches on.
type fault string

const (
	faultStale   fault = "stale"
	faultRefused fault = "refused"
	faultOther   fault = "error"
)

func answerFor(err error) answer {
	var refused *RefusedError
	switch {
	case err == nil:
		return answer{}
	case errors.Is(err, ErrStale):
		return answer{Fault: faultStale}
	case errors.As(err, &refused):
		return answer{Fault: faultRefused, Message: refused.Reason}
	}
	return answer{Fault: faultOther, Message: err.Error()}
}

func (a answer) err() error {
	switch a.Fault {
	case "":
		return nil
	case faultStale:
		return ErrStale
	case faultRefused:
		return &RefusedError{Reason: a.Message}
	}
	return errors.New(a.Message)
}

// Chunks carry their bytes as they are; what belongs to them stands in headers.
const (
	headerVersion = "Velocity-Version"
	headerBuild   = "Velocity-Build"
	headerTask    = "Velocity-Task"
	headerAttempt = "Velocity-Attempt"
	headerFile    = "Velocity-File"
	headerOffset  = "Velocity-Offset"
)

func encodeChunk(to string, c Chunk) *nats.Msg {
	m := nats.NewMsg(to)
	m.Header.Set(headerVersion, strconv.Itoa(wireVersion))
	m.Header.Set(headerBuild, c.Attempt.Build.String())
	m.Header.Set(headerTask, c.Attempt.Task)
	m.Header.Set(headerAttempt, strconv.Itoa(c.Attempt.Number))
	m.Header.Set(headerFile, string(c.File))
	m.Header.Set(headerOffset, strconv.FormatInt(c.Offset, 10))
	m.Data = c.Data
	return m
}

func decodeChunk(h nats.Header, data []byte) (Chunk, error) {
	c := Chunk{File: File(h.Get(headerFile)), Data: data}
	if v := h.Get(headerVersion); v != strconv.Itoa(wireVersion) {
		return c, fmt.Errorf("decode chunk: version %q is not known here (this program speaks %d)", v, wireVersion)
	}
	var err1, err2, err3 error
	c.Attempt.Build, err1 = build.ParseID(h.Get(headerBuild))
	c.Attempt.Task = h.Get(headerTask)
	c.Attempt.Number, err2 = strconv.Atoi(h.Get(headerAttempt))
	c.Offset, err3 = strconv.ParseInt(h.Get(headerOffset), 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return c, fmt.Errorf("decode chunk: %w", err)
	}
	if c.Offset < 0 || len(data) > MaxChunk || c.File != TextFile && c.File != TimesFile {
		return c, fmt.Errorf("decode chunk: %d bytes of %q at %d", len(data), c.File, c.Offset)
	}
	return c, nil
}
