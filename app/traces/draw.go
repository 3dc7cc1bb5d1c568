package traces

import (
	"cmp"
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// scope says who made the spans.
const scope = "github.com/velocity-ci/velocity"

// draw makes the spans of a build. Tasks that never ran have none.
func (s *Sender) draw(one finished) {
	b := one.build
	ctx := withName(context.Background(), dispatch.TraceOf(b.ID), dispatch.SpanOf(b.ID))
	ctx, span := s.provider.Tracer(scope).Start(ctx, "BUILD "+b.Name, trace.WithTimestamp(b.Created),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(s.aboutBuild(one)...))
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; !t.Started.IsZero() && !t.Finished.IsZero() {
				s.drawTask(ctx, b, b.Stages[i].Name, t)
			}
		}
	}
	why := cmp.Or(b.Canceled, b.Refused)
	judge(span, resultOf(b.State(), why), cmp.Or(why, string(b.State())))
	span.End(trace.WithTimestamp(b.Finished))
}

// aboutBuild is what the semantic conventions for CI/CD have to say of a build.
func (s *Sender) aboutBuild(one finished) []attribute.KeyValue {
	b := one.build
	all := []attribute.KeyValue{
		semconv.CICDPipelineName(b.Name), semconv.CICDPipelineRunID(b.ID.String()), semconv.CICDPipelineActionNameBuild,
		semconv.CICDPipelineResultKey.String(string(resultOf(b.State(), cmp.Or(b.Canceled, b.Refused)))),
		semconv.VCSRepositoryName(one.repository), semconv.VCSRefHeadRevision(string(b.Trigger.Commit)),
		attribute.String("velocity.event", string(b.Trigger.Event)),
	}
	if ref := cmp.Or(b.Trigger.Head, b.Trigger.Ref); ref != "" {
		all = append(all, semconv.VCSRefHeadName(shortRef(ref)))
		switch {
		case strings.HasPrefix(ref, "refs/heads/"):
			all = append(all, semconv.VCSRefHeadTypeBranch)
		case strings.HasPrefix(ref, "refs/tags/"):
			all = append(all, semconv.VCSRefHeadTypeTag)
		}
	}
	if b.Trigger.Target != "" {
		all = append(all, semconv.VCSRefBaseName(shortRef(b.Trigger.Target)))
	}
	if s.options.Page != nil {
		all = append(all, semconv.CICDPipelineRunURLFull(s.options.Page(b.ID, "")))
	}
	return all
}

// shortRef is a ref as people call it.
func shortRef(ref string) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
}

// drawTask makes the spans of a task's last attempt, and of its steps. Earlier
// attempts are events of it: it is not kept when they began.
func (s *Sender) drawTask(ctx context.Context, b *build.Build, stage string, t *build.Task) {
	at := dispatch.Attempt{Build: b.ID, Task: t.Key, Number: t.Attempt}
	result := resultOf(t.State, t.Reason)
	about := []attribute.KeyValue{
		semconv.CICDPipelineTaskName(t.Name), semconv.CICDPipelineTaskRunID(at.String()),
		semconv.CICDPipelineTaskRunResultKey.String(string(result)), attribute.String("velocity.stage", stage),
	}
	if t.Builder != "" {
		about = append(about, semconv.CICDWorkerName(t.Builder), semconv.CICDWorkerID(t.Builder))
	}
	if s.options.Page != nil {
		about = append(about, semconv.CICDPipelineTaskRunURLFull(s.options.Page(b.ID, t.Key)))
	}
	ctx, span := s.provider.Tracer(scope).Start(withName(ctx, dispatch.TraceOf(b.ID), at.Span()), t.Name,
		trace.WithTimestamp(t.Started), trace.WithAttributes(about...))
	for _, lost := range t.Lost {
		span.AddEvent("attempt interrupted", trace.WithTimestamp(lost.Ended), trace.WithAttributes(
			attribute.Int("velocity.attempt", lost.Attempt), attribute.String("velocity.reason", lost.Reason), semconv.CICDWorkerName(lost.Builder)))
	}
	for i := range t.Steps {
		if step := &t.Steps[i]; !step.Started.IsZero() && !step.Finished.IsZero() {
			s.drawStep(ctx, at, i, step)
		}
	}
	judge(span, result, t.Reason)
	span.End(trace.WithTimestamp(t.Finished))
}

func (s *Sender) drawStep(ctx context.Context, at dispatch.Attempt, i int, step *build.Step) {
	about := []attribute.KeyValue{attribute.String("velocity.step.type", string(step.Type))}
	if step.Exit != 0 {
		about = append(about, semconv.ProcessExitCode(step.Exit))
	}
	if step.Image != "" {
		about = append(about, semconv.ContainerImageName(step.Image))
	}
	_, span := s.provider.Tracer(scope).Start(withName(ctx, dispatch.TraceOf(at.Build), at.StepSpan(i)), step.Name,
		trace.WithTimestamp(step.Started), trace.WithAttributes(about...))
	judge(span, resultOf(step.State, step.Reason), step.Reason)
	span.End(trace.WithTimestamp(step.Finished))
}

// judge makes a span one of an error unless all went well.
func judge(span trace.Span, r result, reason string) {
	if r == success || r == skip {
		return
	}
	span.SetStatus(codes.Error, reason)
	span.SetAttributes(semconv.ErrorTypeKey.String(string(r)))
}

// A result is how something ended, in the words of the semantic conventions.
type result string

const (
	success      result = "success"
	failure      result = "failure"
	timeout      result = "timeout"
	cancellation result = "cancellation"
	skip         result = "skip"
)

// resultOf is how a state and its reason read in these words.
func resultOf(s build.State, reason string) result {
	switch {
	case s == build.Succeeded && (reason == build.ReasonSkipped || reason == build.ReasonReused):
		return skip
	case s == build.Succeeded:
		return success
	case strings.HasPrefix(reason, "timed out"):
		return timeout
	case strings.HasPrefix(reason, "canceled"), strings.HasPrefix(reason, build.ReasonSuperseded),
		reason == build.ReasonClosed, reason == build.ReasonDestroyed, reason == build.ReasonDeleted:
		return cancellation
	}
	return failure
}
