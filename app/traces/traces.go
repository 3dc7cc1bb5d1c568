// Package traces sends what builds did as traces, by OTLP over HTTP: a build is a
// trace, its tasks and their steps are spans. A trace is made when its build is over,
// of nothing but the build as it was recorded, so that a server which was restarted
// meanwhile sends it as well. Nothing waits for it: what cannot be sent is dropped
// and counted.
package traces

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
)

const (
	waiting = 256 // builds that wait to be sent; those beyond are dropped
	batch   = 512 // spans that go in one request

	// lastWords is how long the builds that wait may take when the server ends.
	lastWords = 5 * time.Second
)

// Options say where traces go, and what they say beside the build.
type Options struct {
	// Endpoint is the address of the receiver, such as http://127.0.0.1:4318; "" for
	// that of the variables of OpenTelemetry, from which all else is taken, too.
	Endpoint string
	Version  string                                // of this program
	Page     func(id build.ID, task string) string // where people see a build, or with a key a task; nil if nowhere
	Log      *slog.Logger
}

// A Sender sends traces. Its methods are safe for concurrent use.
type Sender struct {
	options  Options
	exporter sdk.SpanExporter
	provider *sdk.TracerProvider
	made     *collected
	queue    chan finished
	dropped  atomic.Int64
	failing  bool // the last request failed; only Run touches it
}

// A finished build is one to be sent.
type finished struct {
	repository string
	build      *build.Build
}

// New is a sender that Run makes work. It connects to nothing. Errors: an address
// that is none.
func New(ctx context.Context, o Options) (*Sender, error) {
	var to []otlptracehttp.Option
	if o.Endpoint != "" {
		address, err := url.JoinPath(o.Endpoint, "v1/traces")
		if err != nil {
			return nil, fmt.Errorf("address of the receiver of traces: %w", err)
		}
		to = append(to, otlptracehttp.WithEndpointURL(address))
	}
	exporter, err := otlptracehttp.New(ctx, to...)
	if err != nil {
		return nil, fmt.Errorf("prepare to send traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("velocity"), semconv.ServiceVersion(o.Version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("prepare to send traces: %w", err)
	}
	s := &Sender{options: o, exporter: exporter, made: &collected{}, queue: make(chan finished, waiting)}
	s.provider = sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithIDGenerator(named{}), sdk.WithSpanProcessor(s.made))
	return s, nil
}

// Observe sends a build that is over, later. It waits for nothing.
func (s *Sender) Observe(f architect.Fact) {
	for _, e := range f.Events {
		if e.Type != build.BuildComplete {
			continue
		}
		select {
		case s.queue <- finished{f.Site.Called(), f.Build}:
		default:
			s.drop(1)
		}
	}
}

// Dropped is how many builds were not sent.
func (s *Sender) Dropped() int64 { return s.dropped.Load() }

// Run sends until ctx ends, and then what waits, as far as that is quickly done.
func (s *Sender) Run(ctx context.Context) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	for ctx.Err() == nil {
		select {
		case one := <-s.queue:
			s.send(sending, one)
		case <-ctx.Done():
		}
	}
	for sending.Err() == nil && len(s.queue) > 0 {
		s.send(sending, <-s.queue)
	}
	s.drop(len(s.queue))
	_ = s.exporter.Shutdown(sending) // it only stops what was ended above
}

// send sends one build.
func (s *Sender) send(ctx context.Context, one finished) {
	s.draw(one)
	for spans := s.made.take(); len(spans) > 0; {
		n := min(batch, len(spans))
		if err := s.exporter.ExportSpans(ctx, spans[:n]); err != nil {
			s.drop(1)
			s.failed(one.build.ID, err)
			return
		}
		spans = spans[n:]
	}
	s.failing = false
}

func (s *Sender) drop(n int) { s.dropped.Add(int64(n)) }

// failed says once that traces do not arrive.
func (s *Sender) failed(id build.ID, err error) {
	if !s.failing {
		s.options.Log.Warn("a trace could not be sent; builds go on without", "build", id.String(), "err", err)
	}
	s.failing = true
}
