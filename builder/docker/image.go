package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// create makes the container name, fetching its image as pull says. The usual
// case, an image that is there, costs one call: only the engine's refusal makes
// us look further.
func (e *Executor) create(ctx context.Context, name string, s spec, pull executor.Pull) error {
	if pull == executor.PullAlways {
		if err := e.pull(ctx, s.config.Image, s.logins); err != nil {
			return err
		}
	}
	err := e.tryCreate(ctx, name, s)
	if cerrdefs.IsNotFound(err) && (pull == executor.PullMissing || pull == "") {
		if err := e.pull(ctx, s.config.Image, s.logins); err != nil {
			return err
		}
		err = e.tryCreate(ctx, name, s)
	}
	switch {
	case err == nil:
		return nil
	case cerrdefs.IsNotFound(err):
		return &executor.StartError{
			What: fmt.Sprintf("image %q is not on this builder", s.config.Image),
			Hint: "load it there, or let the step pull it",
			Err:  err,
		}
	}
	return startError(s.config.Image, err)
}

func (e *Executor) tryCreate(ctx context.Context, name string, s spec) error {
	_, err := e.api.ContainerCreate(ctx, s.config, s.host, s.network, nil, name)
	return err
}

// containerName is known before the engine answers, so that a container whose
// making was cut short can still be removed.
func containerName() string { return "velocity-" + rand.Text() }

// pull fetches ref, as whom its registry knows among logins.
func (e *Executor) pull(ctx context.Context, ref string, logins []executor.Login) error {
	auth, err := authFor(ref, logins)
	if err != nil {
		return pullRefused(ref, err)
	}
	body, err := e.api.ImagePull(ctx, ref, image.PullOptions{RegistryAuth: auth})
	switch {
	case client.IsErrConnectionFailed(err):
		return noEngine(err)
	case err != nil:
		return pullRefused(ref, err)
	}
	defer body.Close()
	refusal, err := readMessages(body, func(message) error { return nil })
	switch {
	case err != nil:
		return broke("pull image", err)
	case refusal != "":
		return pullRefused(ref, errors.New(refusal))
	}
	return nil
}

func pullRefused(ref string, err error) error {
	return &executor.StartError{
		What: fmt.Sprintf("image %q cannot be pulled: %v", ref, err),
		Hint: "check its name and tag, and that the task is logged in to its registry if that is private",
		Err:  err,
	}
}

// startError sorts why a container was not made or started: the engine is gone,
// it refuses what the step asks for, or it is in trouble itself.
func startError(ref string, err error) error {
	switch {
	case client.IsErrConnectionFailed(err):
		return noEngine(err)
	case cerrdefs.IsInvalidArgument(err), cerrdefs.IsNotFound(err), cerrdefs.IsConflict(err),
		cerrdefs.IsPermissionDenied(err), cerrdefs.IsNotImplemented(err), noSuchUser(err):
		return &executor.StartError{
			What: fmt.Sprintf("container of image %q did not start: %v", ref, err),
			Hint: "check the step's image, user and network",
			Err:  err,
		}
	}
	return broke("start container", err)
}

// noSuchUser recognises the one mistake of a step's author that the engine
// reports as its own (status 500), so that its text is all there is to go by.
func noSuchUser(err error) bool {
	return strings.Contains(err.Error(), "unable to find user ") || strings.Contains(err.Error(), "unable to find group ")
}
