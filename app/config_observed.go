package app

import (
	"net"
	"net/url"
)

// checkObserved finds addresses of metrics and traces that are none.
func (s *serverConfig) checkObserved() error {
	if s.Metrics.Listen != "" {
		if _, _, err := net.SplitHostPort(s.Metrics.Listen); err != nil {
			return usage("metrics.listen: %q is not HOST:PORT or :PORT", s.Metrics.Listen)
		}
	}
	if s.Traces.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(s.Traces.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usage("traces.endpoint is no address such as http://127.0.0.1:4318")
	}
	if u.User != nil {
		return usage("traces.endpoint holds no user or password").
			hint("the variable OTEL_EXPORTER_OTLP_HEADERS has what the receiver asks for")
	}
	return nil
}
