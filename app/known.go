package app

import (
	"context"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage/git"
	projects "github.com/velocity-ci/velocity/storage/project"
)

// knownIn tells of the repositories of forges that a server's own repository has on
// record, whether or not they are served now.
func (c *cli) knownIn(repo *git.Repository) func(context.Context) ([]web.Known, error) {
	all := projects.Open(repo, c.clock)
	return func(ctx context.Context) ([]web.Known, error) {
		list, err := all.List(ctx)
		var known []web.Known
		for _, p := range list {
			k := web.Known{Identity: p.Key, Name: p.Name}
			if p.State != projects.Active {
				k.State = string(p.State)
			}
			known = append(known, k)
		}
		return known, err
	}
}
