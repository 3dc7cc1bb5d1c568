package docker

import (
	"context"
	"fmt"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/velocity-ci/velocity/builder/executor"
)

// labelService is the plugin's own mark of a service's containers.
const labelService = "com.docker.compose.service"

// Address is where other programs find the engine, as in DOCKER_HOST.
func (e *Executor) Address() string { return e.api.DaemonHost() }

// Labels are what marks all that belongs to an owner, and what Reap goes by.
func (e *Executor) Labels(o executor.Owner) map[string]string { return labels(e.builder, o) }

// PrivateDir makes a directory for the owner that only this user can look into
// and that holds logins as the docker command keeps them. The caller removes it,
// and otherwise Reap does.
func (e *Executor) PrivateDir(o executor.Owner, logins []executor.Login) (string, error) {
	dir, err := e.privateDir(o)
	if err != nil {
		return "", err
	}
	if err := writeConfig(dir, logins); err != nil {
		return "", fmt.Errorf("write logins: %w", err)
	}
	return dir, nil
}

// Deaths sends something after a container of the owner ended, once for any
// number of them, until ctx ends or the engine breaks; then it is closed. None
// that ends after the call is missed.
func (e *Executor) Deaths(ctx context.Context, o executor.Owner) <-chan struct{} {
	args := filters.NewArgs(filters.Arg("type", "container"), filters.Arg("event", string(events.ActionDie)))
	for name, value := range e.Labels(o) {
		args.Add("label", name+"="+value)
	}
	messages, errs := e.api.Events(ctx, events.ListOptions{Filters: args})
	deaths := make(chan struct{}, 1)
	go func() {
		defer close(deaths)
		for {
			select {
			case <-messages:
			case <-errs: //nolint:errcheck // that it is over is all that counts
				return
			}
			select {
			case deaths <- struct{}{}:
			default: // the last one was not looked at yet
			}
		}
	}()
	return deaths
}

// Containers lists those of the owner, with the services they are for.
func (e *Executor) Containers(ctx context.Context, o executor.Owner) ([]executor.Container, error) {
	found, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: e.ownedBy(o)})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var all []executor.Container
	for _, c := range found {
		// The list is a little behind: a container that was heard to die may still run
		// in it.
		now, err := e.api.ContainerInspect(ctx, c.ID)
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("inspect container: %w", err)
		}
		all = append(all, executor.Container{
			Service: c.Labels[labelService], Exit: now.State.ExitCode,
			Ended: now.State.Status == container.StateExited || now.State.Status == container.StateDead,
		})
	}
	return all, nil
}

func (e *Executor) ownedBy(o executor.Owner) filters.Args {
	args := filters.NewArgs()
	for name, value := range e.Labels(o) {
		args.Add("label", name+"="+value)
	}
	return args
}

// RemoveAll removes the containers, networks, volumes and images that bear the
// owner's labels.
func (e *Executor) RemoveAll(ctx context.Context, o executor.Owner) error {
	r := reaper{api: e.api, mine: e.ownedBy(o), running: func(string) bool { return false }}
	r.sweep(ctx)
	return r.err()
}
