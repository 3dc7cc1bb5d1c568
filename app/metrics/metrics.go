// Package metrics counts how a server does, in the form that Prometheus reads. It is
// told facts, and asks for the rest when somebody reads. It holds nothing up, and no
// name that somebody outside chose is ever a label: those have no bound.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
)

// namespace is what all names of ours begin with.
const namespace = "velocity"

// Metrics are those of one server. All methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	builds, tasks     *prometheus.CounterVec // by outcome
	interrupted       prometheus.Counter
	written           *prometheus.HistogramVec // changes of stores, by outcome
	logs              prometheus.Counter
	received, refused *prometheus.CounterVec
	requests          *prometheus.CounterVec
}

// New has nothing counted yet. Everything but counters is asked of the sources when
// it is read.
func New(from Sources) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), from)
	make := promauto.With(m.registry)
	counter := func(name, help string) prometheus.Counter {
		return make.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return make.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	m.builds = vector("builds_finished_total", "Builds that ended, by outcome.", "outcome")
	m.tasks = vector("tasks_finished_total", "Tasks that ended, by outcome.", "outcome")
	m.interrupted = counter("attempts_interrupted_total", "Attempts that ended without a verdict, such as those of builders that were lost.")
	m.written = make.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "store_write_duration_seconds",
		Help:    "How long changes of builds took to become durable, from the architect's move on, by outcome.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"outcome"})
	m.logs = counter("log_received_bytes_total", "Bytes of logs that builders sent.")
	m.received = vector("deliveries_received_total", "Deliveries of forges that were taken in, by forge.", "forge")
	m.refused = vector("deliveries_refused_total", "Deliveries of forges that were refused, by reason.", "reason")
	m.requests = vector("http_requests_total", "Requests that were answered, by route and class of status.", "route", "code")
	for _, of := range []*prometheus.CounterVec{m.builds, m.tasks} { // a rate needs them from the first on
		of.WithLabelValues(string(build.Succeeded))
		of.WithLabelValues(string(build.Failed))
	}
	return m
}

// scrapesAtOnce is enough for a pair of Prometheus servers and somebody who looks.
const scrapesAtOnce = 4

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: scrapesAtOnce})
}

// Observe counts what became durable of a build.
func (m *Metrics) Observe(f architect.Fact) {
	for _, e := range f.Events {
		switch e.Type {
		case build.BuildSuccess:
			m.builds.WithLabelValues(string(build.Succeeded)).Inc()
		case build.BuildFail:
			m.builds.WithLabelValues(string(build.Failed)).Inc()
		case build.TaskSuccess:
			m.tasks.WithLabelValues(string(build.Succeeded)).Inc()
		case build.TaskFail:
			m.tasks.WithLabelValues(string(build.Failed)).Inc()
		}
	}
	for _, move := range f.Moves {
		if move.Kind == build.Interrupt {
			m.interrupted.Inc()
		}
	}
}

// wrote counts how a change of a store ended.
func (m *Metrics) wrote(took time.Duration, err error) {
	outcome := "recorded"
	if err != nil {
		outcome = "failed"
	}
	m.written.WithLabelValues(outcome).Observe(took.Seconds())
}

// Received counts a delivery that was kept.
func (m *Metrics) Received(forge string) { m.received.WithLabelValues(forge).Inc() }

// Refused counts a delivery that was not taken, for one of the few reasons of
// package hooks.
func (m *Metrics) Refused(reason string) { m.refused.WithLabelValues(reason).Inc() }
