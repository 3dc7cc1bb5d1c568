package web

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/velocity-ci/velocity/app/api"
)

// bodyWithin is the time that a request may take to send its body.
const bodyWithin = 30 * time.Second

// decode reads a request's body, which must be one JSON value and no more. If it
// cannot, it has answered.
func decode(w http.ResponseWriter, r *http.Request, log *slog.Logger, into any) bool {
	return decodeUpTo(w, r, log, into, largestBody)
}

// decodeUpTo is decode of a body of at most so many bytes.
func decodeUpTo(w http.ResponseWriter, r *http.Request, log *slog.Logger, into any, most int64) bool {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin)) // where a connection has none, none is needed
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the request's JSON value")
		}
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		problem(w, log, http.StatusRequestEntityTooLarge, err)
	default:
		problem(w, log, http.StatusBadRequest, err)
	}
	return false
}

func problem(w http.ResponseWriter, log *slog.Logger, status int, err error) {
	reply(w, log, status, api.Problem{Message: err.Error()})
}

func reply(w http.ResponseWriter, log *slog.Logger, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Debug("answer not read", "err", err)
	}
}
