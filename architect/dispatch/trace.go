package dispatch

import (
	"crypto/sha256"
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
)

// Traces are named after what they show, so that a builder and whoever sends them
// agree without a word, also after either was restarted. Names are as W3C Trace
// Context has them: 16 bytes for a trace, 8 for a span of it.

// TraceOf is the trace of a build.
func TraceOf(id build.ID) (trace [16]byte) {
	sum := sha256.Sum256([]byte("velocity/1 trace of build " + id.String()))
	return [16]byte(sum[:16])
}

// SpanOf is the span of a whole build.
func SpanOf(id build.ID) (span [8]byte) { return spanOf("build " + id.String()) }

// Span is the span of an attempt.
func (a Attempt) Span() (span [8]byte) { return spanOf("attempt " + a.String()) }

// StepSpan is the span of one step of an attempt; step 0 is the setup.
func (a Attempt) StepSpan(step int) (span [8]byte) {
	return spanOf(fmt.Sprintf("attempt %s, step %d", a, step))
}

func spanOf(what string) [8]byte {
	sum := sha256.Sum256([]byte("velocity/1 span of " + what))
	return [8]byte(sum[:8])
}

// Traceparent is what the processes of a step are told of the span that theirs
// belong into, in the form of W3C Trace Context: it is recorded.
func (a Attempt) Traceparent(step int) string {
	return fmt.Sprintf("00-%x-%x-01", TraceOf(a.Build), a.StepSpan(step))
}
