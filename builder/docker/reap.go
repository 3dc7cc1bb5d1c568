package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

// Reap removes the containers, networks, volumes and attempts' own images
// labelled with this builder's name whose owner (executor.Owner's String) is not running any more, and
// returns how many it removed, plugins that build images and their credentials
// included. Others' are not looked at. One that cannot be
// removed does not keep the rest from being removed.
func (e *Executor) Reap(ctx context.Context, running func(owner string) bool) (int, error) {
	r := reaper{api: e.api, mine: filters.NewArgs(filters.Arg("label", labelBuilder+"="+e.builder)), running: running}
	r.sweep(ctx)
	ended, err := e.reapPlugin(ctx, running)
	return r.removed + ended, errors.Join(r.err(), err)
}

// A reaper is one sweep over one engine.
type reaper struct {
	api     *client.Client
	mine    filters.Args
	running func(owner string) bool
	removed int
	errs    []error
}

// sweep removes all there is. Containers come first: they hold on to the others.
func (r *reaper) sweep(ctx context.Context) {
	r.containers(ctx)
	r.networks(ctx)
	r.volumes(ctx)
	r.images(ctx)
}

func (r *reaper) err() error { return errors.Join(r.errs...) }

func (r *reaper) containers(ctx context.Context) {
	found, err := r.api.ContainerList(ctx, container.ListOptions{All: true, Filters: r.mine})
	r.failed("list containers", err)
	for _, c := range found {
		r.remove(c.Labels, "container "+c.ID, func() error { return removeContainer(ctx, r.api, c.ID) })
	}
}

func (r *reaper) networks(ctx context.Context) {
	found, err := r.api.NetworkList(ctx, network.ListOptions{Filters: r.mine})
	r.failed("list networks", err)
	for _, n := range found {
		r.remove(n.Labels, "network "+n.ID, func() error { return r.api.NetworkRemove(ctx, n.ID) })
	}
}

func (r *reaper) volumes(ctx context.Context) {
	found, err := r.api.VolumeList(ctx, volume.ListOptions{Filters: r.mine})
	r.failed("list volumes", err)
	for _, v := range found.Volumes {
		r.remove(v.Labels, "volume "+v.Name, func() error { return r.api.VolumeRemove(ctx, v.Name, true) })
	}
}

// images removes those that are of use to one attempt alone, with what they alone
// were built from.
func (r *reaper) images(ctx context.Context) {
	own := r.mine.Clone()
	own.Add("label", labelAttempt)
	found, err := r.api.ImageList(ctx, image.ListOptions{Filters: own})
	r.failed("list images", err)
	for _, i := range found {
		r.remove(i.Labels, "image "+i.ID, func() error {
			_, err := r.api.ImageRemove(ctx, i.ID, image.RemoveOptions{Force: true, PruneChildren: true})
			return err
		})
	}
}

// remove removes one thing unless its owner runs. Somebody else having removed
// it meanwhile is as good.
func (r *reaper) remove(labels map[string]string, what string, remove func() error) {
	if r.running(ownerOf(labels)) {
		return
	}
	err := remove()
	switch {
	case err == nil:
		r.removed++
	case !cerrdefs.IsNotFound(err):
		r.failed("remove "+what, err)
	}
}

func (r *reaper) failed(verb string, err error) {
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", verb, err))
	}
}

// ownerOf is the owner's String put together again from labels.
func ownerOf(labels map[string]string) string {
	return strings.Join([]string{
		labels[labelBuilder], labels[labelBuild], labels[labelTask], labels[labelAttempt],
	}, "/")
}

// removeContainer kills a container if it runs and removes it with its anonymous
// volumes. One that is gone, or that the engine is already removing, is no error.
func removeContainer(ctx context.Context, api *client.Client, id string) error {
	err := api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return nil
	}
	return err
}
