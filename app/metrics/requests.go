package metrics

import (
	"net/http"
	"strconv"

	"github.com/felixge/httpsnoop"
)

// noRoute stands for all requests that no route is for: what strangers ask for has
// no bound.
const noRoute = "none"

// Requests counts what a handler answers, by the routes of the mux that it is. The
// answers pass as they are, streams and connections that are taken over included;
// those are counted when they end.
func (m *Metrics) Requests(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httpsnoop.CaptureMetrics(mux, w, r)
		route := r.Pattern // set by the mux
		if route == "" {
			route = noRoute
		}
		m.requests.WithLabelValues(route, class(answer.Code)).Inc()
	})
}

// class is the kind of a status: 2xx.
func class(status int) string { return strconv.Itoa(status/100) + "xx" }
