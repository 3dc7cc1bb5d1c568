package docker

import (
	"context"
	"fmt"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// The Docker Hub: as images name it, and as engines and the docker command want
// to find its login.
const (
	hubHost = "docker.io"
	hubKey  = "https://index.docker.io/v1/"
)

// retryAfter are the pauses before a registry that failed is asked again.
var retryAfter = []time.Duration{time.Second, 3 * time.Second, 9 * time.Second}

// registryHost is the host that an address of a registry names, as image
// references spell it. A scheme and a path, which many write, do not matter.
func registryHost(address string) (string, error) {
	host := strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	switch host {
	case "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return hubHost, nil
	}
	// The first part of a reference is a registry only if it looks like one.
	named, err := reference.ParseNormalizedNamed(host + "/image")
	if err != nil || reference.Domain(named) != host {
		return "", fmt.Errorf("registry address %q: want a host such as registry.example.com or localhost:5000", address)
	}
	return host, nil
}

func authConfig(l executor.Login) registry.AuthConfig {
	return registry.AuthConfig{Username: l.Username, Password: l.Password, ServerAddress: loginKey(l.Registry)}
}

// loginKey is how engines and the docker command call a registry's login.
func loginKey(host string) string {
	if host == hubHost {
		return hubKey
	}
	return host
}

// authFor is the header by which the engine gets into ref's registry, "" for
// nobody in particular.
func authFor(ref string, logins []executor.Login) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", err
	}
	for _, l := range logins {
		if l.Registry == reference.Domain(named) {
			return registry.EncodeAuthConfig(authConfig(l))
		}
	}
	return "", nil
}

// Login asks the engine whether the registry, given by any address of its, lets
// l in, and returns the login as commands are to bring it: nothing is kept here.
// The error is an *executor.ImageError if the registry refuses or does not
// answer.
func (e *Executor) Login(ctx context.Context, l executor.Login) (executor.Login, error) {
	host, err := registryHost(l.Registry)
	if err != nil {
		return l, &executor.ImageError{What: err.Error()}
	}
	l.Registry = host
	return l, e.tryLogin(ctx, l)
}

func (e *Executor) tryLogin(ctx context.Context, l executor.Login) error {
	err := e.insist(ctx, func() (again bool, err error) {
		_, err = e.api.RegistryLogin(ctx, authConfig(l))
		return err != nil && !loginRefused(err) && !client.IsErrConnectionFailed(err), err
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case client.IsErrConnectionFailed(err):
		return noEngine(err)
	case loginRefused(err):
		return &executor.ImageError{
			What: fmt.Sprintf("registry %s refused the login of %s", l.Registry, l.Username),
			Hint: "check the username and the password under docker.registries",
			Err:  err,
		}
	}
	return &executor.ImageError{
		What: fmt.Sprintf("registry %s did not answer the login of %s: %v", l.Registry, l.Username, err),
		Hint: "check its address, and whether the builder's engine reaches it",
		Err:  err,
	}
}

// loginRefused recognises a registry's no. The engine makes it its own error
// (status 500) where the registry asks for basic authentication, so that its
// text is all there is to go by.
func loginRefused(err error) bool {
	return cerrdefs.IsUnauthorized(err) ||
		strings.Contains(err.Error(), "status: 401") || strings.Contains(err.Error(), "status: 403")
}

// insist calls try until it succeeds or says that trying again is of no use, at
// most once more than there are pauses.
func (e *Executor) insist(ctx context.Context, try func() (again bool, err error)) error {
	for tries := 0; ; tries++ {
		again, err := try()
		if err == nil || !again || tries == len(retryAfter) {
			return err
		}
		if e.pause(ctx, retryAfter[tries]) != nil {
			return err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
