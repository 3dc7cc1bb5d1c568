package app_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// get is a program of the scripts: `get URL [TOKEN]` prints the status of the answer
// and its body. It fails only if there is no answer.
func get(args []string) int {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, args[0], nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if len(args) > 1 {
		r.Header.Set("Authorization", "Bearer "+args[1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer answer.Body.Close()
	fmt.Println(answer.StatusCode)
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// traced is a program of the scripts: `traced SPANS ADDRESS` receives traces by OTLP,
// and writes a line for each span into one file, and where it listens into the other.
func traced(args []string) int {
	spans, err := os.OpenFile(args[0], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := os.WriteFile(args[1], []byte(l.Addr().String()), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	take := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &sent) != nil || r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, s := range sent.ResourceSpans[0].ScopeSpans[0].Spans {
			fmt.Fprintln(spans, spanLine(s))
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}
	fmt.Fprintln(os.Stderr, http.Serve(l, http.HandlerFunc(take)))
	return 1
}

// spanLine is the name of a span, how it ended, whose it is, and its own name in its
// trace.
func spanLine(s *wire.Span) string {
	text := s.Name
	for _, a := range s.Attributes {
		switch {
		case strings.HasSuffix(a.Key, ".result"):
			text += " " + a.Value.GetStringValue()
		case a.Key == "vcs.repository.name":
			return text + " repository=" + a.Value.GetStringValue()
		}
	}
	return fmt.Sprintf("%s %x %x", text, s.TraceId, s.SpanId)
}
