package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/velocity-ci/velocity/app/forge/report"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/hooks/plugin"
)

// Sources are asked at each scrape. They answer at once.
type Sources struct {
	Version, Commit string // of this program
	Load            func() architect.Load
	Races           func() int64                     // updates of refs that came too late
	Reports         func() (s report.Stats, ok bool) // ok is false as long as there is no forge
	Plugins         func() (s plugin.Stats, ok bool) // ok is false if there are no plugins
	Dropped         func() int64                     // traces that were not sent
}

// A reading is one number of the sources.
type reading struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func newReading(kind prometheus.ValueType, name, help string, labels ...string) reading {
	return reading{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil), kind}
}

func (r reading) send(to chan<- prometheus.Metric, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(r.desc, r.kind, value, labels...)
}

var (
	info       = newReading(prometheus.GaugeValue, "build_info", "1, with this program's version and commit.", "version", "commit")
	unfinished = newReading(prometheus.GaugeValue, "builds_unfinished", "Builds that are not over.")
	queued     = newReading(prometheus.GaugeValue, "queue_tasks", "Tasks that wait for a builder.")
	oldest     = newReading(prometheus.GaugeValue, "queue_oldest_wait_seconds", "How long the first of the tasks that wait for a builder has waited; 0 if none does.")
	attempts   = newReading(prometheus.GaugeValue, "attempts_running", "Attempts that builders have, or are being offered.")
	builders   = newReading(prometheus.GaugeValue, "builders_connected", "Builders that are connected.")
	slots      = newReading(prometheus.GaugeValue, "builder_slots", "Attempts that the connected builders take at the same time; those that are drained take none.")
	busy       = newReading(prometheus.GaugeValue, "builder_slots_busy", "Attempts that the connected builders have, or are being offered.")
	races      = newReading(prometheus.CounterValue, "ref_races_total", "Updates of refs that were drawn anew since somebody else had moved the ref.")
	dropped    = newReading(prometheus.CounterValue, "traces_dropped_total", "Traces of builds that were not sent: the receiver of traces was too slow.")

	reportLag     = newReading(prometheus.GaugeValue, "report_lag_seconds", "How long a forge has not shown the first of the checks that wait as it is; 0 if none waits.")
	reportWaiting = newReading(prometheus.GaugeValue, "reports_waiting", "Checks that a forge does not show as they are yet.")
	reportParked  = newReading(prometheus.GaugeValue, "reports_parked", "Checks that are not tried any more: the forge does not permit them.")
	reportPosts   = newReading(prometheus.CounterValue, "report_posts_total", "Posts about checks that a forge answered, well or not.")
	reportRetries = newReading(prometheus.CounterValue, "report_retries_total", "Posts about checks that failed and were tried again.")
	reportPauses  = newReading(prometheus.CounterValue, "report_limit_pauses_total", "Times that a forge asked for a pause.")

	pluginWaiting = newReading(prometheus.GaugeValue, "plugins_waiting", "Plugins that have something to be told of a build, one for each build.")
	pluginBroken  = newReading(prometheus.GaugeValue, "plugins_broken", "Plugins that failed so often that they are left alone for a while.")
	pluginSent    = newReading(prometheus.CounterValue, "plugin_events_total", "Events that plugins took.")
	pluginRetries = newReading(prometheus.CounterValue, "plugin_retries_total", "Events that plugins did not take and that were tried again.")
	pluginLost    = newReading(prometheus.CounterValue, "plugin_events_lost_total", "Events that plugins were never told of; their builds have a notice.")
)

// Describe implements prometheus.Collector.
func (s Sources) Describe(to chan<- *prometheus.Desc) {
	for _, r := range []reading{
		info, unfinished, queued, oldest, attempts, builders, slots, busy, races, dropped,
		reportLag, reportWaiting, reportParked, reportPosts, reportRetries, reportPauses,
		pluginWaiting, pluginBroken, pluginSent, pluginRetries, pluginLost,
	} {
		to <- r.desc
	}
}

// Collect implements prometheus.Collector.
func (s Sources) Collect(to chan<- prometheus.Metric) {
	load := s.Load()
	info.send(to, 1, s.Version, s.Commit)
	unfinished.send(to, float64(load.Builds))
	queued.send(to, float64(load.Ready))
	oldest.send(to, load.OldestWait.Seconds())
	attempts.send(to, float64(load.Running))
	builders.send(to, float64(load.Builders))
	slots.send(to, float64(load.Capacity))
	busy.send(to, float64(load.Busy))
	races.send(to, float64(s.Races()))
	dropped.send(to, float64(s.Dropped()))
	if stats, ok := s.Reports(); ok {
		reportLag.send(to, stats.OldestWait.Seconds())
		reportWaiting.send(to, float64(stats.Waiting))
		reportParked.send(to, float64(stats.Parked))
		reportPosts.send(to, float64(stats.Posts))
		reportRetries.send(to, float64(stats.Retries))
		reportPauses.send(to, float64(stats.LimitPauses))
	}
	if stats, ok := s.Plugins(); ok {
		pluginWaiting.send(to, float64(stats.Waiting))
		pluginBroken.send(to, float64(stats.Broken))
		pluginSent.send(to, float64(stats.Sent))
		pluginRetries.send(to, float64(stats.Retries))
		pluginLost.send(to, float64(stats.Lost))
	}
}
