package hooks

import (
	"io"
	"net/http"
)

// A refusal is a request that is not taken. Its text goes to the sender: a person
// reads it in the forge's list of deliveries.
type refusal struct {
	status int
	reason string // for counting, and for the operator
	hint   string // for who set the hook up
}

func (r *refusal) Error() string { return r.reason }

// The refusals, in the order in which a request meets them.
var (
	badMethod    = &refusal{http.StatusMethodNotAllowed, "no POST", "webhooks are sent with POST"}
	tooLarge     = &refusal{http.StatusRequestEntityTooLarge, "too large", "no forge sends that much"}
	badEncoding  = &refusal{http.StatusUnsupportedMediaType, "compressed", "send the body as it was signed, without Content-Encoding"}
	badType      = &refusal{http.StatusUnsupportedMediaType, "content type", "choose application/json as the hook's content type"}
	unsigned     = &refusal{http.StatusUnauthorized, "unsigned", "give the hook the secret that is in the configuration"}
	stale        = &refusal{http.StatusUnauthorized, "stale", "the timestamp is more than 5 minutes from this server's clock"}
	badSignature = &refusal{http.StatusUnauthorized, "bad signature", "the hook's secret is not the one in the configuration"}
	tooMany      = &refusal{http.StatusTooManyRequests, "too many", "too many requests of this address at once; send it again"}
	tooBusy      = &refusal{http.StatusServiceUnavailable, "busy", "too many requests at once; send it again"}
	noDeadline   = &refusal{http.StatusInternalServerError, "no deadline", "the connection cannot be given a deadline: a handler around this one hides it"}
	tooSlow      = &refusal{http.StatusRequestTimeout, "too slow", "the body did not come in time"}
	cutOff       = &refusal{http.StatusBadRequest, "cut off", "the body ended early"}
	notKept      = &refusal{http.StatusServiceUnavailable, "not kept", "it could not be stored; send it again"}
)

// blamed reports whether a refusal is held against the sender's address.
func (r *refusal) blamed() bool {
	return r != tooMany && r.status < http.StatusInternalServerError
}

// retryAfter is when a refused sender may try again, in seconds.
const retryAfter = "30"

func (r *refusal) answer(w http.ResponseWriter) {
	h := w.Header()
	switch r.status {
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", retryAfter)
	}
	h.Set("Connection", "close") // or the rest of the body would be read to keep it open
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.reason+": "+r.hint+"\n") // nobody is left to tell
}
