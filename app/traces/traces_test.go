package traces_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/velocity-ci/velocity/app/traces"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// receiver is an OTLP receiver over HTTP.
type receiver struct {
	*httptest.Server
	spans chan *wire.Span
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{spans: make(chan *wire.Span, 10000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil || q.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", q.URL, err)
		}
		var sent collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &sent); err != nil {
			t.Error(err)
		}
		for _, of := range sent.ResourceSpans {
			for _, in := range of.ScopeSpans {
				for _, s := range in.Spans {
					r.spans <- s
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

// start makes a sender work; what comes back ends it, with all sent that can be.
func start(t *testing.T, to string, log *slog.Logger) (s *traces.Sender, end func()) {
	t.Helper()
	s, err := traces.New(t.Context(), traces.Options{
		Endpoint: to, Version: "1.2.3", Log: log,
		Page: func(id build.ID, task string) string { return "https://ci.example.com/" + id.String() + "/" + task },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	return s, func() { stop(); running.Wait() }
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// example is a build of two stages that failed: one task was lost once, one never ran.
func example() *build.Build {
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	b := &build.Build{
		Request: build.Request{
			ID: build.ID{Store: "abc123", Number: 7}, Name: "default",
			Trigger: plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/main", Commit: "c0ffee"},
		},
		Created: at(0), Started: at(1), Finished: at(30),
		Stages: []build.Stage{
			{Name: "one", Tasks: []build.Task{{
				Key: "s0t0", Name: "test", State: build.Failed, Reason: "exit 2", Attempt: 2, Builder: "linux-1", Started: at(10), Finished: at(20),
				Lost: []build.Lost{{Attempt: 1, Builder: "linux-0", Reason: "lost builder", Ended: at(9)}},
				Steps: []build.Step{
					{Type: plan.StepSetup, Name: "setup", State: build.Succeeded, Started: at(10), Finished: at(11)},
					{Type: plan.StepRun, Name: "make", State: build.Failed, Reason: "exit 2", Exit: 2, Started: at(11), Finished: at(20)},
					{Type: plan.StepRun, Name: "never", State: build.Waiting},
				},
			}}},
			{Name: "two", Tasks: []build.Task{{Key: "s1t0", Name: "deploy", State: build.Waiting}}},
		},
	}
	return b
}

// over is the fact that a build is over.
func over(b *build.Build) architect.Fact {
	return architect.Fact{Site: &architect.Site{Name: "shop"}, Build: b, Events: []build.Event{{Type: build.BuildComplete}, {Type: build.BuildFail}}}
}

// line is a span in one line.
func line(s *wire.Span) string {
	at := func(nanos uint64) int64 { return (int64(nanos) - noon.UnixNano()) / int64(time.Second) }
	text := fmt.Sprintf("%x/%x<%x %s %d-%d %s", s.TraceId[:2], s.SpanId[:2], s.ParentSpanId[:min(2, len(s.ParentSpanId))], s.Name,
		at(s.StartTimeUnixNano), at(s.EndTimeUnixNano), strings.TrimPrefix(s.Status.GetCode().String(), "STATUS_CODE_"))
	for _, a := range s.Attributes {
		text += " " + a.Key + "=" + value(a.Value)
	}
	for _, e := range s.Events {
		text += fmt.Sprintf(" [%s at %d]", e.Name, at(e.TimeUnixNano))
	}
	return text
}

func value(v *common.AnyValue) string {
	if n, ok := v.Value.(*common.AnyValue_IntValue); ok {
		return fmt.Sprint(n.IntValue)
	}
	return v.GetStringValue()
}

// A build is a trace, what ran of it are spans, in the words of OpenTelemetry's
// conventions for CI/CD; the spans are those that steps were told of.
func TestBuildIsTrace(t *testing.T) {
	r := newReceiver(t)
	s, end := start(t, r.URL, quiet())
	s.Observe(architect.Fact{Site: &architect.Site{Name: "shop"}, Build: example(), Events: []build.Event{{Type: build.TaskStart}}})
	s.Observe(over(example()))
	end()
	close(r.spans)
	var got []string
	for span := range r.spans {
		got = append(got, line(span))
	}
	id := example().ID
	at := dispatch.Attempt{Build: id, Task: "s0t0", Number: 2}
	trace, root, task, setup, step := dispatch.TraceOf(id), dispatch.SpanOf(id), at.Span(), at.StepSpan(0), at.StepSpan(1)
	want := []string{
		fmt.Sprintf("%x/%x<%x setup 10-11 UNSET velocity.step.type=setup", trace[:2], setup[:2], task[:2]),
		fmt.Sprintf("%x/%x<%x make 11-20 ERROR velocity.step.type=run process.exit.code=2 error.type=failure", trace[:2], step[:2], task[:2]),
		fmt.Sprintf("%x/%x<%x test 10-20 ERROR cicd.pipeline.task.name=test cicd.pipeline.task.run.id=abc123-7/s0t0/2"+
			" cicd.pipeline.task.run.result=failure velocity.stage=one cicd.worker.name=linux-1 cicd.worker.id=linux-1"+
			" cicd.pipeline.task.run.url.full=https://ci.example.com/abc123-7/s0t0 error.type=failure [attempt interrupted at 9]",
			trace[:2], task[:2], root[:2]),
		fmt.Sprintf("%x/%x< BUILD default 0-30 ERROR cicd.pipeline.name=default cicd.pipeline.run.id=abc123-7"+
			" cicd.pipeline.action.name=BUILD cicd.pipeline.result=failure vcs.repository.name=shop vcs.ref.head.revision=c0ffee"+
			" velocity.event=push vcs.ref.head.name=main vcs.ref.head.type=branch"+
			" cicd.pipeline.run.url.full=https://ci.example.com/abc123-7/ error.type=failure", trace[:2], root[:2]),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if got, want := at.Traceparent(1), fmt.Sprintf("00-%x-%x-01", trace, step); got != want || s.Dropped() != 0 {
		t.Errorf("the step was told %s; want %s; %d dropped", got, want, s.Dropped())
	}
}

// How builds end reads in the words of the conventions.
func TestResults(t *testing.T) {
	for reason, want := range map[string]string{
		"":                                  "failure",
		"canceled by ann":                   "cancellation",
		build.ReasonSuperseded + "abc123-9": "cancellation",
		build.ReasonClosed:                  "cancellation",
		"timed out after 10m0s":             "timeout",
	} {
		r := newReceiver(t)
		s, end := start(t, r.URL, quiet())
		b := example()
		b.Canceled = reason
		s.Observe(over(b))
		end()
		close(r.spans)
		for span := range r.spans {
			if span.Name == "BUILD default" && !strings.Contains(line(span), "cicd.pipeline.result="+want+" ") {
				t.Errorf("%q: %s; want %s", reason, line(span), want)
			}
		}
	}
}

// A receiver that does not answer holds nobody up: what waits is bounded, and what is
// dropped is counted.
func TestReceiverHangs(t *testing.T) {
	asked, release := make(chan struct{}, 2000), make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-release
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer hanging.Close()
	s, end := start(t, hanging.URL, quiet())
	s.Observe(over(example()))
	<-asked
	for range 1000 {
		s.Observe(over(example()))
	}
	if got := s.Dropped(); got != 1000-256 {
		t.Errorf("%d dropped of 1000, of which 256 may wait", got)
	}
	close(release)
	for range 256 {
		<-asked // now, however long it takes: the end does not wait for all that waits
	}
	end()
	if more := len(asked); more > 0 || s.Dropped() != 1000-256 {
		t.Errorf("%d more sent and %d dropped of 1000", more, s.Dropped())
	}
}

// words collects a log.
type words struct {
	mu sync.Mutex
	strings.Builder
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Builder.Write(p)
}

// A receiver that refuses is told of once, and the next build is tried again.
func TestReceiverRefuses(t *testing.T) {
	asked := 0
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusForbidden)
	}))
	log := &words{}
	s, end := start(t, refusing.URL, slog.New(slog.NewTextHandler(log, nil)))
	for range 3 {
		s.Observe(over(example()))
	}
	end()
	refusing.Close() // and with it all that it did
	if n := strings.Count(log.String(), "a trace could not be sent"); n != 1 || s.Dropped() != 3 || asked != 3 {
		t.Errorf("said %d times, %d dropped, asked %d times; want 1, 3 and 3:\n%s", n, s.Dropped(), asked, log.String())
	}
}
