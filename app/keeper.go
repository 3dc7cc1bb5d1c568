package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder"
	"github.com/velocity-ci/velocity/storage/blob"
)

// A keeper is the builder.Keeper of a builder in the architect's process.
type keeper struct{ *shelves }

// Artifacts implements builder.Keeper.
func (k keeper) Artifacts(ctx context.Context, _ dispatch.Assignment, of dispatch.Need) (io.ReadCloser, error) {
	store, err := k.of(ctx, of.Of)
	if err != nil {
		return nil, err
	}
	kept, err := store.Artifacts(ctx, of.Of.Number, of.Task)
	if err != nil {
		return nil, keptOr(err)
	}
	if len(kept.Files) == 0 {
		return nil, builder.ErrNoFiles
	}
	r, err := store.Open(ctx, kept.Pack)
	return r, keptOr(err)
}

// keptOr is a store's error in the builder's words.
func keptOr(err error) error {
	if errors.Is(err, blob.ErrNone) {
		return fmt.Errorf("%w: %w", builder.ErrNothingKept, err)
	}
	return err
}

// put puts a pack into the store of an attempt's repository.
func (k keeper) put(ctx context.Context, a dispatch.Assignment, p builder.Pack) (*blob.Store, blob.Ref, error) {
	ref := blob.Ref{SHA256: p.SHA256, Size: p.Size}
	store, err := k.of(ctx, a.Attempt.Build)
	if err != nil {
		return nil, ref, err
	}
	f, err := os.Open(p.Path)
	if err != nil {
		return nil, ref, err
	}
	defer f.Close()
	return store, ref, store.Put(ctx, ref, f)
}

// KeepArtifacts implements builder.Keeper.
func (k keeper) KeepArtifacts(ctx context.Context, a dispatch.Assignment, p builder.Pack) error {
	store, ref, err := k.put(ctx, a, p)
	if err != nil {
		return err
	}
	out := blob.Artifacts{Build: a.Attempt.Build.Number, Task: a.Attempt.Task, Attempt: a.Attempt.Number, Pack: ref}
	for _, file := range p.Files {
		out.Files = append(out.Files, blob.File(file))
	}
	return store.KeepArtifacts(ctx, out)
}

// Cache implements builder.Keeper.
func (k keeper) Cache(ctx context.Context, a dispatch.Assignment, name string) (io.ReadCloser, error) {
	store, err := k.of(ctx, a.Attempt.Build)
	if err != nil {
		return nil, err
	}
	r, _, err := store.OpenCache(ctx, string(a.Caches), name)
	return r, keptOr(err)
}

// KeepCache implements builder.Keeper.
func (k keeper) KeepCache(ctx context.Context, a dispatch.Assignment, name string, p builder.Pack) error {
	if !a.CacheWrite {
		return &builder.KeepError{Reason: "the attempt may not keep caches"}
	}
	store, ref, err := k.put(ctx, a, p)
	if err != nil {
		return err
	}
	if err := store.KeepCache(ctx, string(a.Caches), name, ref); !errors.Is(err, blob.ErrKept) {
		return err
	}
	return nil // somebody else's is as good
}

// A farKeeper is the builder.Keeper of a builder on a machine of its own.
type farKeeper struct{ server *client.Blobs }

// newFarKeeper asks the server of a credential.
func newFarKeeper(cr *credential) (farKeeper, error) {
	u, err := client.ParseServer(cr.Server)
	if err != nil {
		return farKeeper{}, err
	}
	roots, err := authorities(cr.Authority)
	if err != nil {
		return farKeeper{}, err
	}
	return farKeeper{client.RemoteBlobs(u, roots)}, nil
}

// said turns a server's refusal into the builder's words.
func said(err error) error {
	var refused *client.StatusError
	switch {
	case !errors.As(err, &refused) || refused.Status >= http.StatusInternalServerError:
		return err
	case refused.Status == http.StatusNotFound:
		return fmt.Errorf("%w: %w", builder.ErrNothingKept, err)
	}
	return &builder.KeepError{Reason: refused.Message}
}

// Artifacts implements builder.Keeper.
func (k farKeeper) Artifacts(ctx context.Context, a dispatch.Assignment, of dispatch.Need) (io.ReadCloser, error) {
	r, err := k.server.Needed(ctx, a.Credential, slices.Index(a.Needs, of))
	if err == nil && r == nil {
		return nil, builder.ErrNoFiles
	}
	return r, said(err)
}

func (k farKeeper) put(ctx context.Context, a dispatch.Assignment, p builder.Pack) error {
	f, err := os.Open(p.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	return k.server.Put(ctx, a.Credential, p.SHA256, p.Size, f)
}

// KeepArtifacts implements builder.Keeper.
func (k farKeeper) KeepArtifacts(ctx context.Context, a dispatch.Assignment, p builder.Pack) error {
	kept := api.Kept{SHA256: p.SHA256, Size: p.Size}
	for _, file := range p.Files {
		kept.Files = append(kept.Files, api.Artifact(file))
	}
	if err := k.put(ctx, a, p); err != nil {
		return said(err)
	}
	return said(k.server.Keep(ctx, a.Credential, kept))
}

// Cache implements builder.Keeper.
func (k farKeeper) Cache(ctx context.Context, a dispatch.Assignment, name string) (io.ReadCloser, error) {
	r, err := k.server.Cache(ctx, a.Credential, name)
	return r, said(err)
}

// KeepCache implements builder.Keeper.
func (k farKeeper) KeepCache(ctx context.Context, a dispatch.Assignment, name string, p builder.Pack) error {
	if err := k.put(ctx, a, p); err != nil {
		return said(err)
	}
	return said(k.server.KeepCache(ctx, a.Credential, name, api.Kept{SHA256: p.SHA256, Size: p.Size}))
}
