package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/velocity-ci/velocity/builder"
	"github.com/velocity-ci/velocity/builder/compose"
	"github.com/velocity-ci/velocity/builder/docker"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/host"
)

// engine gives a builder its Docker engine and the plugins for it. They have home
// for their files.
func (c *cli) engine(b *builder.Builder, home string, limits docker.Limits, log *slog.Logger) error {
	buildx, processes := c.dockerPlugin("docker-buildx"), &host.Executor{Builder: b.Name, Base: c.engineEnvironment()}
	d, err := docker.New(docker.Config{
		Builder: b.Name, Limits: limits, Log: log,
		Buildx: docker.Buildx{
			Path: buildx, Processes: processes, Private: cmp.Or(memoryFolder(), filepath.Join(home, "private")),
		},
	})
	if err != nil {
		return fmt.Errorf("set up Docker: %w", err)
	}
	b.Docker = d
	if plugin := c.dockerPlugin("docker-compose"); plugin != "" {
		b.Compose = &compose.Executor{
			Path: plugin, Buildx: buildx, Processes: processes, Engine: d, Limits: compose.Limits(d.Limits()), Log: log,
		}
	}
	return nil
}

// engineTime is how long the engine may take to say what a builder runs in.
const engineTime = 10 * time.Second

// unshown says why the engine's containers cannot see what is made in folder, because
// this process runs in a container itself; nil if they can, or if no engine answers
// now: then each step says so.
func unshown(ctx context.Context, engine builder.ContainerExecutor, folder string) *failure {
	to, ok := engine.(*docker.Executor)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	err := to.Shows(ctx, folder)
	var start *executor.StartError
	if errors.Is(err, executor.ErrEngine) || !errors.As(err, &start) {
		return nil
	}
	return usage("%s", start.What).hint("%s", start.Hint)
}

// floorOf is what compares the age of a builder's engine with what code of strangers
// needs; nil if it has none.
func floorOf(b *builder.Builder) func(context.Context) error {
	if to, ok := b.Docker.(*docker.Executor); ok {
		return to.Floor
	}
	return nil
}

// pluginDirs are where the docker command looks for plugins of all users.
var pluginDirs = []string{
	"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
	"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
}

// dockerPlugin finds a plugin where the docker command would, or returns "".
func (c *cli) dockerPlugin(name string) string {
	var dirs []string
	if config := c.env["DOCKER_CONFIG"]; config != "" {
		dirs = append(dirs, filepath.Join(config, "cli-plugins"))
	} else if home := c.env["HOME"]; home != "" {
		dirs = append(dirs, filepath.Join(home, ".docker", "cli-plugins"))
	}
	for _, dir := range append(dirs, pluginDirs...) {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil && filepath.IsAbs(path) && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// engineEnvironment is what plugins see of this process' environment: the way to
// the engine and out of a closed network.
func (c *cli) engineEnvironment() []string {
	var env []string
	for _, name := range []string{
		"PATH", "VELOCITY_ATTEMPT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	} {
		if value, ok := c.env[name]; ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
