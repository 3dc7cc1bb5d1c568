package app

import (
	"cmp"
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/architect/dispatch"
	checkout "github.com/velocity-ci/velocity/builder/source"
	"github.com/velocity-ci/velocity/storage/git"
)

// modulesOf says from where the submodules of a repository may come. A remote that
// is a path, or of another kind than builders fetch submodules from, is no address
// to count from; that matters to repositories with submodules only, and the
// builder says so there.
func modulesOf(ctx context.Context, repo *git.Repository, configured repositoryConfig) (dispatch.Submodules, error) {
	of := dispatch.Submodules{Hosts: configured.Submodules}
	remote, err := repo.OriginURL(ctx)
	if err != nil {
		return of, fmt.Errorf("find the address of %s: %w", nameOf(repo), err)
	}
	if address, err := checkout.Address(cmp.Or(configured.URL, remote)); err == nil {
		of.Origin = address
	}
	return of, nil
}
