package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/liaison"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// A keyring opens repositories of one forge for fetching: to us, and to those whom
// the forge lets in.
type keyring interface {
	Credential(ctx context.Context, r forge.Repository) (forge.Credential, error)
	// CanRead reports whether the forge lets whoever has a token read a repository.
	// Anybody may have typed it.
	CanRead(ctx context.Context, r forge.Repository, token string) (bool, error)
	// CanWrite reports whether a person may write to a repository now.
	CanWrite(ctx context.Context, r forge.Repository, u forge.User) (bool, error)
}

// estate is the liaison's houses: the service's, with their mirrors.
type estate struct {
	s       *service
	mirrors *mirrors
	keys    func(forge.Kind) keyring
	arrived *atomic.Bool // set when a repository begins to be served
}

// Open implements liaison.Houses.
func (e estate) Open(ctx context.Context, r forge.Repository) (liaison.House, error) {
	if h := e.s.houses.of(r.Key); h != nil && h.remote() == r {
		return house{e, h}, nil
	}
	repo, err := e.fetch(ctx, r, nil)
	if err != nil {
		return nil, err
	}
	h, err := e.s.admit(ctx, r, repo)
	if err != nil {
		return nil, err
	}
	e.arrived.Store(true)
	return house{e, h}, nil
}

// Resume implements liaison.Houses.
func (e estate) Resume(ctx context.Context, r forge.Repository) error {
	repo, err := e.mirrors.of(r.Key).Open(ctx)
	if err != nil {
		return err
	}
	if _, err = e.s.admit(ctx, r, repo); err == nil {
		e.arrived.Store(true)
	}
	return err
}

// At implements liaison.Houses.
func (e estate) At(key forge.Key) (liaison.House, bool) {
	h := e.s.houses.of(key)
	return house{e, h}, h != nil
}

// Close implements liaison.Houses.
func (e estate) Close(ctx context.Context, key forge.Key) error { return e.s.dismiss(ctx, key) }

// fetch brings a mirror up to date, with a credential that ends when it is done.
func (e estate) fetch(ctx context.Context, r forge.Repository, pulls []int64) (*git.Repository, error) {
	credential, err := e.keys(r.Kind).Credential(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("get into %s: %w", r.Name, err)
	}
	defer e.giveBack(ctx, r, credential)
	return e.mirrors.of(r.Key).Refresh(ctx, r, credential, pulls)
}

// giveBack ends a credential. A build need not wait for the forge's answer to that,
// and the end of the server does.
func (e estate) giveBack(ctx context.Context, r forge.Repository, credential forge.Credential) {
	end := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeWithin)
		defer cancel()
		if err := credential.Close(ctx); err != nil { // it expires by itself
			e.s.log.Warn("a token for fetching was not given back", "repo", r.Name, "err", err)
		}
	}
	if !e.mirrors.goOn(end) {
		end()
	}
}

// A house is one repository for the liaison.
type house struct {
	estate
	h *served
}

// Refresh implements liaison.House.
func (h house) Refresh(ctx context.Context, r forge.Repository, pulls []int64) error {
	_, err := h.fetch(ctx, r, pulls)
	return err
}

// Tidy implements liaison.House.
func (h house) Tidy(ctx context.Context, open []int64) error {
	return h.mirrors.of(h.h.key).Tidy(ctx, open)
}

// Tip implements liaison.House.
func (h house) Tip(ref string) (plan.Commit, bool, error) {
	hash, err := h.h.repo.Ref(ref)
	if errors.Is(err, git.ErrRefNotFound) {
		return "", false, nil
	}
	if err == nil {
		hash, err = h.h.repo.Peel(hash)
	}
	if err != nil {
		return "", false, fmt.Errorf("read %s of %s: %w", ref, h.h.site.Called(), err)
	}
	return planCommit(hash), true, nil
}

// Accept implements liaison.House.
func (h house) Accept(ctx context.Context, t plan.Trigger) error {
	return h.s.architect.Take(ctx, h.h.site, t)
}

// Look implements liaison.House.
func (h house) Look() { h.h.site.Look() }

func (h house) desk() desk { return desk{h.s.c, h.h.repo, h.h.ledger.Store, h.h.vault} }

// Find implements liaison.House.
func (h house) Find(ctx context.Context, id build.ID) (*build.Build, bool, error) {
	b, _, err := h.h.ledger.Build(ctx, id)
	if errors.Is(err, storage.ErrNoBuild) {
		return nil, false, nil
	}
	return b, err == nil, err
}

// Builds implements liaison.House.
func (h house) Builds(ctx context.Context, c plan.Commit) ([]*build.Build, error) {
	if c.Zero() {
		return nil, nil
	}
	return h.desk().builds(ctx, api.Query{Commit: string(c)})
}

// Unfinished implements liaison.House.
func (h house) Unfinished() []*build.Build {
	var mine []*build.Build
	store, err := h.h.ledger.ID()
	if err != nil {
		return nil // a ledger that was never written has none
	}
	for _, b := range h.s.architect.Unfinished() {
		if b.ID.Store == store {
			mine = append(mine, b)
		}
	}
	return mine
}

// Rerun implements liaison.House.
func (h house) Rerun(ctx context.Context, b *build.Build, failed bool, as plan.Trigger) error {
	return h.Accept(ctx, again(b, failed, as))
}

// Approve implements liaison.House.
func (h house) Approve(ctx context.Context, b *build.Build, by string) error {
	err := h.s.architect.Approve(ctx, b.ID, build.Approval{Commit: b.Trigger.Commit, Digest: b.Plan, By: by})
	if errors.Is(err, architect.ErrNoBuild) {
		return fmt.Errorf("approve %s: %w any more", b.ID, build.ErrNotHeld) // it ended since it was read
	}
	return err
}

// Cancel implements liaison.House.
func (h house) Cancel(ctx context.Context, b *build.Build, reason string) error {
	if err := h.s.architect.Cancel(ctx, b.ID, reason); !errors.Is(err, architect.ErrNoBuild) {
		return err
	}
	return nil // it ended since it was read
}

// End implements liaison.House.
func (h house) End(ctx context.Context, g liaison.Gone, reason string) error {
	_, err := h.s.architect.CancelWhere(ctx, h.h.site, architect.Closing(g), reason)
	return err
}

// A remote is a repository as its forge showed it last.
type remote struct {
	mu sync.Mutex
	is forge.Repository
}

func (s *served) remote() forge.Repository {
	s.from.mu.Lock()
	defer s.from.mu.Unlock()
	return s.from.is
}

func (s *served) follow(r forge.Repository) {
	s.from.mu.Lock()
	defer s.from.mu.Unlock()
	s.from.is = r
}
