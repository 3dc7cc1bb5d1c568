package traces

import (
	"context"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// named gives spans the names that are in the context they are started with.
type named struct{}

type nameKey struct{}

type name struct {
	trace trace.TraceID
	span  trace.SpanID
}

// withName has the next span be called so.
func withName(ctx context.Context, t trace.TraceID, s trace.SpanID) context.Context {
	return context.WithValue(ctx, nameKey{}, name{t, s})
}

// NewIDs implements sdk.IDGenerator.
func (named) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	n, _ := ctx.Value(nameKey{}).(name) // every span is started with one
	return n.trace, n.span
}

// NewSpanID implements sdk.IDGenerator.
func (g named) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	_, span := g.NewIDs(ctx)
	return span
}

// collected are the spans that ended and were not taken yet. They are for one
// goroutine.
type collected struct{ spans []sdk.ReadOnlySpan }

func (c *collected) take() []sdk.ReadOnlySpan {
	spans := c.spans
	c.spans = nil
	return spans
}

// OnStart implements sdk.SpanProcessor.
func (*collected) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (c *collected) OnEnd(s sdk.ReadOnlySpan) { c.spans = append(c.spans, s) }

// ForceFlush implements sdk.SpanProcessor.
func (*collected) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdk.SpanProcessor.
func (*collected) Shutdown(context.Context) error { return nil }
