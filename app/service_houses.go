package app

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/socket"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/storage/git"
)

// houses are the repositories of a service. Those of forges come and go while it
// runs; moving makes it one at a time. They are safe for concurrent use.
type houses struct {
	moving sync.Mutex

	mu   sync.Mutex
	all  []*served
	live *errgroup.Group // the service's goroutines while it runs; nil otherwise
	ctx  context.Context // of live
}

// list is those there are now; the slice is the caller's.
func (h *houses) list() []*served {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

// of finds the one of a forge's repository, nil if it is not served now.
func (h *houses) of(key forge.Key) *served {
	return h.first(func(one *served) bool { return one.key == key && key != (forge.Key{}) })
}

// at finds the one of a site, nil if it is not served any more.
func (h *houses) at(site *architect.Site) *served {
	return h.first(func(one *served) bool { return one.site == site })
}

// settled is at for who may come early: a site's builds move before its house is
// among the others.
func (h *houses) settled(site *architect.Site) *served {
	h.moving.Lock()
	defer h.moving.Unlock()
	return h.at(site)
}

// ofStore finds the one that keeps a store, nil if none does.
func (h *houses) ofStore(store string) *served {
	return h.first(func(one *served) bool {
		id, err := one.ledger.ID()
		return err == nil && id == store
	})
}

func (h *houses) first(is func(*served) bool) *served {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.IndexFunc(h.all, is); i >= 0 {
		return h.all[i]
	}
	return nil
}

func (h *houses) add(one *served) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, one)
}

// remove reports whether it was there.
func (h *houses) remove(one *served) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := len(h.all)
	h.all = slices.DeleteFunc(h.all, func(other *served) bool { return other == one })
	return len(h.all) < before
}

// errNotRunning is for repositories that come when the service ends.
var errNotRunning = errors.New("the server is ending")

// begin lets houses have goroutines in the group of a service, until ctx ends.
func (h *houses) begin(ctx context.Context, group *errgroup.Group) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live, h.ctx = group, ctx
	group.Go(func() error { // as long as this waits, others may join
		<-ctx.Done()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.live = nil
		return nil
	})
}

// inhabit answers a house's socket and publishes its builds until it is left or the
// service ends.
func (s *service) inhabit(h *served, l net.Listener) error {
	s.houses.mu.Lock()
	defer s.houses.mu.Unlock()
	if s.houses.live == nil {
		return errors.Join(errNotRunning, l.Close())
	}
	ctx, stop := context.WithCancel(s.houses.ctx)
	h.stop = stop
	live := func(work func() error) {
		h.rest.Add(1)
		s.houses.live.Go(func() error { defer h.rest.Done(); return work() })
	}
	live(func() error { return s.answer(ctx, h, l) })
	if h.publisher != nil {
		live(func() error { h.publisher.run(ctx); return nil })
	}
	return nil
}

// listen makes the socket of a repository.
func (s *service) listen(ctx context.Context, h *served) (net.Listener, error) {
	l, err := socket.Listen(ctx, h.folder)
	if err != nil {
		return nil, err
	}
	// Who shares the repository writes its refs, and thus may act already.
	if err := h.repo.Share(socket.Path(h.folder)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// admit serves a repository of a forge from its mirror while the service runs. One
// that is served already only gets its name. The mirror has been fetched: what its
// refs are now counts as known, unless a trigger asks for it.
func (s *service) admit(ctx context.Context, r forge.Repository, repo *git.Repository) (*served, error) {
	s.houses.moving.Lock()
	defer s.houses.moving.Unlock()
	if have := s.houses.of(r.Key); have != nil {
		s.rename(have, s.nameHere(r))
		if before := have.remote(); before.Clone != r.Clone {
			modules, err := modulesOf(ctx, repo, repositoryConfig{URL: r.Clone})
			if err != nil {
				return nil, err
			}
			s.architect.Resupply(have.site, modules)
		}
		have.follow(r)
		return have, nil
	}
	h, err := s.c.mirrored(ctx, r, repo, s.options, s.architect)
	if err != nil {
		return nil, err
	}
	leave := func(err error) (*served, error) { return nil, errors.Join(err, s.leave(ctx, h)) }
	if err := s.shelve(h); err != nil {
		return leave(err)
	}
	l, err := s.listen(ctx, h)
	if err != nil {
		return leave(err)
	}
	if err := s.inhabit(h, l); err != nil {
		return leave(err)
	}
	s.rename(h, s.nameHere(r))
	s.evict(h, h.site.Called())
	s.houses.add(h)
	s.show(h)
	h.site.Wake()
	s.log.Info("repository is served", "repo", r.Name, "key", r.String())
	return h, nil
}

// show has the front answer for a house, if there is one.
func (s *service) show(h *served) {
	if s.front == nil {
		return
	}
	h.vault.server = s.front.web.Secrets
	h.answers = s.answers(h)
	s.front.web.Sites.Add(h.answers)
}

// rename follows a repository that is called otherwise on its forge.
func (s *service) rename(h *served, name string) {
	if before := h.site.Called(); before != name {
		s.evict(h, name)
		h.site.Rename(name)
		s.log.Info("repository renamed", "repo", name, "before", before)
	}
}

// nameHere is what a repository of a forge is called here: as it is there, or by its
// key if one on this machine has that name.
func (s *service) nameHere(r forge.Repository) string {
	own := func(h *served) bool { return h.key == (forge.Key{}) && h.site.Called() == r.Name }
	if s.houses.first(own) != nil {
		return r.Key.String()
	}
	return r.Name
}

// evict takes a name from any other repository of the same forge: there it is that
// one's no more, which we are yet to be told. Until then it goes by its key.
func (s *service) evict(from *served, name string) {
	for _, other := range s.houses.list() {
		if other != from && other.key.Kind == from.key.Kind && other.site.Called() == name {
			other.site.Rename(other.key.String())
		}
	}
}

// dismiss serves a repository of a forge no more. Its unfinished builds stay in its
// mirror as they are.
func (s *service) dismiss(ctx context.Context, key forge.Key) error {
	s.houses.moving.Lock()
	defer s.houses.moving.Unlock()
	h := s.houses.of(key)
	if h == nil || !s.houses.remove(h) {
		return nil
	}
	s.log.Info("repository is not served any more", "repo", h.site.Called())
	return s.leave(ctx, h)
}

// leave gives back all that a house has. It is not stopped halfway: the lock would
// stay behind.
func (s *service) leave(ctx context.Context, h *served) error {
	if s.front != nil && h.answers != nil {
		s.front.web.Sites.Remove(h.answers)
	}
	if h.stop != nil {
		h.stop()
	}
	h.rest.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
	defer cancel()
	if err := s.architect.Close(ctx, h.site); err != nil {
		return err
	}
	return errors.Join(h.release(ctx), s.unshelve(h))
}
