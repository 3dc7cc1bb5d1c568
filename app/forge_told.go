package app

import (
	"context"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/report"
	"github.com/velocity-ci/velocity/storage"
)

// told keeps what forges were told in the stores of the repositories.
type told struct{ s *service }

// Told implements report.Memory.
func (t told) Told(ctx context.Context, k report.Key) (forge.Told, error) {
	h := t.s.houses.of(k.Repository)
	if h == nil {
		return forge.Told{}, errNotServed
	}
	kept, err := h.ledger.Told(ctx, k.Commit, k.Name)
	return forge.Told{
		External: kept.External, ID: kept.ID, State: forge.State(kept.State), Digest: kept.Digest,
		Annotations: kept.Annotations, Done: kept.Done, At: kept.At,
	}, err
}

// Keep implements report.Memory.
func (t told) Keep(ctx context.Context, k report.Key, is forge.Told) error {
	h := t.s.houses.of(k.Repository)
	if h == nil {
		return errNotServed
	}
	return h.ledger.KeepTold(ctx, k.Commit, k.Name, storage.Told{
		External: is.External, ID: is.ID, State: storage.ToldState(is.State), Digest: is.Digest,
		Annotations: is.Annotations, Done: is.Done, At: is.At,
	})
}
