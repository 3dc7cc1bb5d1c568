package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Proxied answers by h for a server that only a proxy can reach: requests are from
// the address that the proxy has seen, which it adds to the end of X-Forwarded-For.
// What stands before that anybody may have written. A request without it is from the
// proxy.
func Proxied(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, ok := forwarded(r.Header.Values("X-Forwarded-For")); ok {
			seen := *r
			seen.RemoteAddr = net.JoinHostPort(from.String(), "0") // nobody tells the port
			r = &seen
		}
		h.ServeHTTP(w, r)
	})
}

// forwarded is the last address of a header that may be there several times.
func forwarded(lines []string) (netip.Addr, bool) {
	if len(lines) == 0 {
		return netip.Addr{}, false
	}
	last := lines[len(lines)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	if at, err := netip.ParseAddrPort(last); err == nil {
		return at.Addr().Unmap(), true
	}
	a, err := netip.ParseAddr(strings.Trim(last, "[]"))
	return a.Unmap(), err == nil
}
