package app

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/velocity-ci/velocity/app/forge/report"
	"github.com/velocity-ci/velocity/app/metrics"
	"github.com/velocity-ci/velocity/app/traces"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/hooks/plugin"
	"github.com/velocity-ci/velocity/storage/git"
)

// observe has those look on who tell operators how a server does: nobody, unless
// the configuration or the environment asks for it.
func (s *service) observe(ctx context.Context, o *serviceOptions) (err error) {
	conf := o.configured
	if conf == nil {
		return nil
	}
	dropped := func() int64 { return 0 }
	if s.c.wantsTraces(conf) {
		s.traces, err = traces.New(ctx, traces.Options{
			Endpoint: conf.Traces.Endpoint, Version: programVersion().Version, Page: pageOf(conf), Log: s.log,
		})
		if err != nil {
			return usage("traces: %w", err)
		}
		s.architect.Traced, dropped = true, s.traces.Dropped
	}
	if conf.Listen != "" || conf.Metrics.Listen != "" {
		program := programVersion()
		s.metrics = metrics.New(metrics.Sources{
			Version: program.Version, Commit: program.Commit,
			Load: s.architect.Load, Races: git.Races, Reports: s.reportStats, Plugins: s.pluginStats, Dropped: dropped,
		})
		o.metrics = s.metrics
	}
	s.architect.Observe = func(f architect.Fact) {
		if s.metrics != nil {
			s.metrics.Observe(f)
		}
		if s.traces != nil {
			s.traces.Observe(f)
		}
	}
	return nil
}

// wantsTraces reports whether traces shall be sent: somebody says where to.
func (c *cli) wantsTraces(conf *serverConfig) bool {
	if c.env["OTEL_SDK_DISABLED"] == "true" || c.env["OTEL_TRACES_EXPORTER"] == "none" {
		return false
	}
	return conf.Traces.Endpoint != "" || c.env["OTEL_EXPORTER_OTLP_ENDPOINT"] != "" || c.env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] != ""
}

// reportStats is how reports to forges go; ok is false as long as there is no forge.
func (s *service) reportStats() (stats report.Stats, ok bool) {
	if s.forges == nil {
		return stats, false
	}
	return s.forges.reporter.Stats(), true
}

// pluginStats is how it goes with plugins; ok is false if there are none.
func (s *service) pluginStats() (stats plugin.Stats, ok bool) {
	if s.options.plugins == nil {
		return stats, false
	}
	return s.options.plugins.runner.Stats(), true
}

// sendTraces begins to send traces, if that is asked for. The function that comes
// back ends it; what waits is sent first, for a short time.
func (s *service) sendTraces(ctx context.Context) (end func()) {
	if s.traces == nil {
		return func() {}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.traces.Run(ctx)
	}()
	return func() { stop(); <-over }
}

// pathMetrics is where metrics are on an address of their own.
const pathMetrics = "/metrics"

// listenForScrapes listens where metrics are for whoever can connect, if the
// configuration asks for that.
func (s *service) listenForScrapes(ctx context.Context, address string) (err error) {
	if address == "" {
		return nil
	}
	if s.scrapes, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
		return usage("metrics.listen: %w", err)
	}
	s.log.Info("metrics are served", "address", s.scrapes.Addr().String())
	return nil
}

// serveScrapes answers there until ctx ends.
func (s *service) serveScrapes(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET "+pathMetrics, s.metrics.Handler())
	srv := apiServer(ctx, mux, s.log)
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // a scrape can be made again
	defer stop()
	if err := srv.Serve(s.scrapes); !errors.Is(err, http.ErrServerClosed) {
		return usage("serve metrics: %w", err)
	}
	return nil
}
