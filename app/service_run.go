package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/roster"
)

// run serves while work does its part, until work or ctx ends or a repository
// cannot be recorded in any more. The builder ends first, so that its last words
// are still heard.
func (s *service) run(ctx context.Context, work func(ctx context.Context) error) error {
	listeners, err := s.listenAll(ctx)
	if err != nil {
		return err
	}
	defer s.sendTraces(ctx)() // the last to end
	upper, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	group, lower := errgroup.WithContext(ctx)
	recording := make(chan error, 1)
	go func() {
		err := s.architect.Run(upper)
		recording <- err
		end(err)
	}()
	group.Go(func() error {
		select {
		case <-upper.Done():
			return context.Cause(upper)
		case <-lower.Done():
			return nil
		}
	})
	if s.builder != nil {
		group.Go(func() error { s.build(lower); return nil })
	}
	s.houses.begin(lower, group)
	for h, l := range listeners {
		if err := s.inhabit(h, l); err != nil {
			group.Go(func() error { return err })
		}
	}
	if s.front != nil {
		group.Go(func() error { return s.front.serve(lower) })
	}
	if s.scrapes != nil {
		group.Go(func() error { return s.serveScrapes(lower) })
	}
	if s.forges != nil {
		group.Go(func() error {
			s.forges.resume(lower)
			s.gathered.Store(true)
			s.forges.run(lower)
			return nil
		})
	} else {
		s.gathered.Store(true)
	}
	if s.options.plugins != nil {
		group.Go(func() error { s.options.plugins.runner.Run(lower); return nil })
	}
	group.Go(func() error { s.rest(lower); return nil })
	s.taking.Store(true)
	context.AfterFunc(lower, func() { s.taking.Store(false) })
	group.Go(func() error { return work(lower) })
	err = group.Wait()
	end(nil)
	if broken := <-recording; broken != nil {
		return broken
	}
	if errors.Is(err, errIdle) || ctx.Err() != nil {
		return nil
	}
	return err
}

// listenAll makes the sockets of all repositories: a process that cannot be reached
// shall begin nothing.
func (s *service) listenAll(ctx context.Context) (map[*served]net.Listener, error) {
	all := map[*served]net.Listener{}
	for _, h := range s.houses.list() {
		l, err := s.listen(ctx, h)
		if err != nil {
			for _, l := range all {
				err = errors.Join(err, l.Close())
			}
			return nil, err
		}
		all[h] = l
	}
	return all, nil
}

// answer serves the API on a repository's socket until ctx ends. What followers
// hear ends then, with whatever they are just told: they can ask again, here or
// elsewhere.
func (s *service) answer(ctx context.Context, h *served, l net.Listener) error {
	srv := s.api(ctx, h)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the socket of %s: %w", h.site.Called(), err)
	case <-ctx.Done():
	}
	endServers(ctx, srv)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the socket of %s: %w", h.site.Called(), err)
	}
	return nil
}

// endServers ends servers whose requests have been told to end, in a short time.
func endServers(ctx context.Context, servers ...*http.Server) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	for _, s := range servers {
		if s.Shutdown(last) != nil {
			_ = s.Close() // their time is over
		}
	}
}

func (s *service) api(ctx context.Context, h *served) *http.Server {
	return apiServer(ctx, s.answers(h).Handler(), s.log)
}

// answers is the API over one repository.
func (s *service) answers(h *served) *web.Server {
	d := desk{s.c, h.repo, h.ledger.Store, h.vault}
	a := &web.Server{
		Architect: s.architect, Site: h.site, Desk: d, Shelf: shelf{s.shelves.of}, Record: chronicle{h},
		Encode: storage.EncodeBuild, Log: s.log, Builds: d.builds, Why: s.why,
		Git:       h.serveFetch,
		Retention: func(ctx context.Context) (api.Retention, error) { return s.wouldDrop(ctx, h) },
	}
	if s.forges != nil && h.key != (forge.Key{}) {
		a.Reads = func(ctx context.Context, token string) (bool, error) { return s.forges.reads(ctx, h.remote(), token) }
		a.Lets = func(ctx context.Context, p web.Person, need roster.Right) (bool, error) {
			return s.forges.lets(ctx, h.remote(), p, need)
		}
	}
	return a
}

// serveFetch serves fetches from the repository, with the results of its builds for
// those who may see them.
func (s *served) serveFetch(w http.ResponseWriter, r *http.Request, results bool) {
	if !results {
		s.repo.ServeFetch(w, r)
		return
	}
	names, err := s.ledger.Results()
	if err != nil {
		http.Error(w, "the results cannot be listed", http.StatusInternalServerError)
		return
	}
	s.repo.ServeFetchOf(w, r, names)
}

// apiServer answers until ctx ends, which also ends the requests under way. A
// client that sends its headers too slowly, or says nothing more, is cut off.
func apiServer(ctx context.Context, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// close gives everything back.
func (s *service) close() error {
	var errs error
	if s.scrapes != nil {
		_ = s.scrapes.Close() // closed already if it was served
	}
	if s.forges != nil {
		errs = s.forges.close()
	}
	if s.front != nil {
		errs = errors.Join(errs, s.front.close())
	}
	if s.link != nil {
		s.link.Close()
	}
	if s.hangUp != nil {
		s.hangUp()
	}
	if s.cluster != nil {
		s.cluster.close()
	}
	if s.hub != nil {
		s.hub.Close()
	}
	if s.nats != nil {
		s.nats.Stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
	defer cancel()
	for _, h := range s.houses.list() {
		errs = errors.Join(errs, h.release(ctx))
	}
	return errors.Join(errs, s.shelves.close())
}

// releaseWithin bounds the last writes of a process that ends.
const releaseWithin = 30 * time.Second
