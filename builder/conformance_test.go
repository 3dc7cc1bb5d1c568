package builder

import (
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/docker"
	"github.com/velocity-ci/velocity/builder/host"
	"github.com/velocity-ci/velocity/builder/source"
)

// The real parts fit together without anything between them.
var (
	_ dispatch.Worker   = (*Builder)(nil)
	_ Architect         = (*dispatch.Direct)(nil)
	_ Architect         = (*dispatch.Link)(nil)
	_ Executor          = (*host.Executor)(nil)
	_ ContainerExecutor = (*docker.Executor)(nil)
	_ Workspaces        = (*source.Fresh)(nil)
	_ Workspaces        = (*source.InPlace)(nil)
)
