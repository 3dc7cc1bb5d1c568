package metrics_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/velocity-ci/velocity/app/forge/report"
	"github.com/velocity-ci/velocity/app/metrics"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/hooks/plugin"
)

// sources are of a server with something of everything.
func sources() metrics.Sources {
	return metrics.Sources{
		Version: "1.2.3", Commit: "abc",
		Load: func() architect.Load {
			return architect.Load{Builds: 7, Ready: 5, OldestWait: 90 * time.Second, Running: 4, Builders: 2, Capacity: 8, Busy: 3}
		},
		Races:   func() int64 { return 6 },
		Dropped: func() int64 { return 1 },
		Plugins: func() (plugin.Stats, bool) {
			return plugin.Stats{Sent: 12, Retries: 5, Lost: 1, Waiting: 8, Broken: 2}, true
		},
		Reports: func() (report.Stats, bool) {
			return report.Stats{Posts: 11, Retries: 2, LimitPauses: 1, Parked: 3, Waiting: 4, OldestWait: 2500 * time.Millisecond}, true
		},
	}
}

func scrape(t testing.TB, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// ours are the lines of a scrape that begin with velocity_, but for buckets.
func ours(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "velocity_") && !strings.Contains(line, "_bucket{") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

type stubLedger struct {
	architect.Ledger
	err error
}

func (l stubLedger) Append(_ build.Change, done func(error)) { done(l.err) }

type stubLogs struct{ architect.Logs }

func (stubLogs) Write(c dispatch.Chunk) (int64, error) { return int64(len(c.Data)), nil }

// fill has everything counted at least once.
func fill(t *testing.T, m *metrics.Metrics) {
	t.Helper()
	m.Observe(architect.Fact{
		Events: []build.Event{
			{Type: build.BuildStart}, {Type: build.TaskStart}, {Type: build.TaskComplete}, {Type: build.TaskSuccess},
			{Type: build.TaskComplete}, {Type: build.TaskFail}, {Type: build.BuildComplete}, {Type: build.BuildFail},
		},
		Moves: []build.Move{{Kind: build.Interrupt}, {Kind: build.Begin}},
	})
	m.Observe(architect.Fact{Events: []build.Event{{Type: build.BuildComplete}, {Type: build.BuildSuccess}}})
	m.Received("github")
	m.Refused("bad signature")
	clock := time.Unix(0, 0)
	now := func() time.Time { clock = clock.Add(250 * time.Millisecond); return clock }
	for _, err := range []error{nil, errors.New("disk full")} {
		m.Ledger(stubLedger{err: err}, now).Append(build.Change{}, func(got error) {
			if got != err {
				t.Errorf("done heard %v; want %v", got, err)
			}
		})
	}
	if n, err := m.Logs(stubLogs{}).Write(dispatch.Chunk{Data: make([]byte, 42)}); n != 42 || err != nil {
		t.Errorf("a chunk: %d, %v", n, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /builds/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := m.Requests(mux)
	for _, path := range []string{"/builds/1", "/builds/2", "/wp-login.php", "/.env"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
	}
}

// What is told and what is asked for is what Prometheus reads, in base units.
func TestScrape(t *testing.T) {
	m := metrics.New(sources())
	fill(t, m)
	want := []string{
		`velocity_attempts_interrupted_total 1`,
		`velocity_attempts_running 4`,
		`velocity_build_info{commit="abc",version="1.2.3"} 1`,
		`velocity_builder_slots 8`,
		`velocity_builder_slots_busy 3`,
		`velocity_builders_connected 2`,
		`velocity_builds_finished_total{outcome="failed"} 1`,
		`velocity_builds_finished_total{outcome="succeeded"} 1`,
		`velocity_builds_unfinished 7`,
		`velocity_deliveries_received_total{forge="github"} 1`,
		`velocity_deliveries_refused_total{reason="bad signature"} 1`,
		`velocity_http_requests_total{code="4xx",route="GET /builds/{id}"} 2`,
		`velocity_http_requests_total{code="4xx",route="none"} 2`,
		`velocity_log_received_bytes_total 42`,
		`velocity_plugin_events_lost_total 1`,
		`velocity_plugin_events_total 12`,
		`velocity_plugin_retries_total 5`,
		`velocity_plugins_broken 2`,
		`velocity_plugins_waiting 8`,
		`velocity_queue_oldest_wait_seconds 90`,
		`velocity_queue_tasks 5`,
		`velocity_ref_races_total 6`,
		`velocity_report_lag_seconds 2.5`,
		`velocity_report_limit_pauses_total 1`,
		`velocity_report_posts_total 11`,
		`velocity_report_retries_total 2`,
		`velocity_reports_parked 3`,
		`velocity_reports_waiting 4`,
		`velocity_store_write_duration_seconds_sum{outcome="failed"} 0.25`,
		`velocity_store_write_duration_seconds_count{outcome="failed"} 1`,
		`velocity_store_write_duration_seconds_sum{outcome="recorded"} 0.25`,
		`velocity_store_write_duration_seconds_count{outcome="recorded"} 1`,
		`velocity_tasks_finished_total{outcome="failed"} 1`,
		`velocity_tasks_finished_total{outcome="succeeded"} 1`,
		`velocity_traces_dropped_total 1`,
	}
	if diff := cmp.Diff(want, ours(scrape(t, m))); diff != "" {
		t.Errorf("scrape (-want +got):\n%s", diff)
	}
}

// A server without a forge has no numbers of reports: none is not zero.
func TestNoReports(t *testing.T) {
	from := sources()
	from.Reports = func() (report.Stats, bool) { return report.Stats{}, false }
	if got := scrape(t, metrics.New(from)); strings.Contains(got, "velocity_report") {
		t.Errorf("numbers of reports without a forge:\n%s", got)
	}
}

// Names, units and types are as Prometheus' conventions have them.
func TestNames(t *testing.T) {
	m := metrics.New(sources())
	fill(t, m)
	problems, err := promlint.New(strings.NewReader(scrape(t, m))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Streams and deadlines of what is counted work as if it were not.
func TestCountedAnswersAreWhole(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}), c.Flush()); err != nil {
			t.Error(err)
		}
		conn, _, err := c.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close() // the client sees the end
	})
	srv := httptest.NewServer(metrics.New(sources()).Requests(mux))
	defer srv.Close()
	answer, err := srv.Client().Get(srv.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
}
