package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Only what the proxy itself has added is believed.
func TestProxied(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{nil, "192.0.2.1:1234"},
		{[]string{"203.0.113.7"}, "203.0.113.7:0"},
		{[]string{"10.0.0.1, 203.0.113.7"}, "203.0.113.7:0"},
		{[]string{"10.0.0.1", "203.0.113.7"}, "203.0.113.7:0"},
		{[]string{"203.0.113.7:4711"}, "203.0.113.7:0"},
		{[]string{"10.0.0.1,[2001:db8::1]:80"}, "[2001:db8::1]:0"},
		{[]string{"[2001:db8::1]"}, "[2001:db8::1]:0"},
		{[]string{"::ffff:203.0.113.7"}, "203.0.113.7:0"},
		{[]string{"203.0.113.7, unknown"}, "192.0.2.1:1234"},
		{[]string{""}, "192.0.2.1:1234"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "192.0.2.1:1234"
		r.Header["X-Forwarded-For"] = tt.lines
		var got string
		Proxied(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(httptest.NewRecorder(), r)
		if got != tt.want {
			t.Errorf("%q is from %s; want %s", tt.lines, got, tt.want)
		}
	}
}
