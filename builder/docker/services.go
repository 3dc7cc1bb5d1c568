package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/velocity-ci/velocity/builder/executor"
)

// A circle is a network of its own with the services on it that one command
// uses.
type circle struct {
	e        *Executor
	cmd      executor.Command
	network  string
	services []*service
}

// runBeside runs cmd once its services are ready, and returns once they are gone,
// too. What they made is thrown away with them: they are killed.
func (e *Executor) runBeside(ctx context.Context, cmd executor.Command) (executor.Result, error) {
	if err := checkServices(cmd); err != nil {
		return executor.Result{}, err
	}
	c := &circle{e: e, cmd: cmd, network: containerName()}
	defer c.end(ctx)
	if err := c.begin(ctx); err != nil {
		return executor.Result{}, canceledOr(ctx, err)
	}
	cmd.Services, cmd.Network = nil, c.network
	return e.Run(ctx, cmd)
}

func checkServices(cmd executor.Command) error {
	if cmd.Network != "" {
		return &executor.StartError{
			What: fmt.Sprintf("network %q cannot be had beside services", cmd.Network),
			Hint: "a step with services runs on a network that it shares with them: leave network out",
		}
	}
	seen := map[string]bool{}
	for _, s := range cmd.Services {
		if seen[s.Alias] || s.Alias == "" {
			return &executor.StartError{What: fmt.Sprintf("two services have the alias %q", s.Alias), Hint: "give each its own"}
		}
		seen[s.Alias] = true
		for _, text := range append(append([]string{s.Alias}, s.Argv...), s.Env...) {
			if !portable(text) {
				return unportable("service", s.Alias)
			}
		}
	}
	return check(cmd)
}

// begin starts all services and waits until each is ready.
func (c *circle) begin(ctx context.Context) error {
	_, err := c.e.api.NetworkCreate(ctx, c.network, network.CreateOptions{
		Driver: "bridge", Labels: labels(c.e.builder, c.cmd.Owner),
	})
	if err != nil {
		return startError(c.cmd.Image, err)
	}
	for _, want := range c.cmd.Services {
		s := &service{Service: want, box: &box{api: c.e.api, name: containerName()}}
		c.services = append(c.services, s)
		if err := c.start(ctx, s); err != nil {
			return fmt.Errorf("service %s: %w", s.Alias, err)
		}
	}
	for _, s := range c.services {
		if err := s.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// start makes and starts one service and begins to copy its output.
func (c *circle) start(ctx context.Context, s *service) error {
	err := c.e.create(ctx, s.box.name, spec{
		config: &container.Config{
			Image: s.Image, Cmd: s.Argv, Env: s.Env, Labels: labels(c.e.builder, c.cmd.Owner),
			AttachStdout: true, AttachStderr: true,
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		host: c.e.confine(nil, c.network, logConfig(c.cmd)),
		network: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			c.network: {Aliases: []string{s.Alias}},
		}},
		logins: c.cmd.Logins,
	}, executor.PullMissing)
	if err != nil {
		return err
	}
	return s.start(ctx)
}

// end removes the services and then the network. What it cannot remove now is
// left to Reap.
func (c *circle) end(ctx context.Context) {
	for _, s := range c.services {
		s.end(ctx)
		c.e.remove(ctx, s.box, c.cmd.Owner)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endingTime)
	defer cancel()
	if err := c.e.api.NetworkRemove(ctx, c.network); err != nil && !cerrdefs.IsNotFound(err) {
		c.e.log.Warn("network left behind", slog.String("network", c.network),
			slog.String("owner", c.cmd.Owner.String()), slog.Any("error", err))
	}
}

// notReady is why a service's command does not run.
func notReady(alias, why, said string) error {
	if said != "" {
		why = fmt.Sprintf("%s; its ready command printed %q", why, said)
	}
	return &executor.StartError{
		What: fmt.Sprintf("service %s is not ready: %s", alias, why),
		Hint: "see its lines in the log, and check its image, command and ready",
	}
}

var errNotReady = errors.New("time is up")
