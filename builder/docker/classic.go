package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// cpuPeriod is the scheduler's usual period, in microseconds, of which a build
// may use its share.
const cpuPeriod = 100_000

// buildClassic builds by the engine's own builder and returns the image's id.
func (e *Executor) buildClassic(ctx context.Context, b executor.ImageBuild, tags []reference.NamedTagged) (id string, err error) {
	const way = "install the docker buildx plugin on the builder"
	switch {
	case len(b.Secrets) > 0:
		return "", &executor.ImageError{
			What: fmt.Sprintf("secret %s cannot be given to this build: the engine's own builder knows no secrets", b.Secrets[0].Name),
			Hint: way,
		}
	case len(b.Platforms) > 1:
		return "", &executor.ImageError{What: "the engine's own builder builds for one platform at a time", Hint: way}
	}
	root, err := os.OpenRoot(b.Workspace)
	if err != nil {
		return "", broke("open workspace", err)
	}
	defer root.Close()
	files, err := openContext(root, b.Context, b.Dockerfile)
	if err != nil {
		return "", notInWorkspace("context", b.Context, err)
	}
	options := e.classicOptions(b, tags)
	options.Dockerfile, _ = files.dockerfileName()
	return e.sendContext(ctx, files, options, b.Stdout)
}

func (e *Executor) classicOptions(b executor.ImageBuild, tags []reference.NamedTagged) build.ImageBuildOptions {
	o := build.ImageBuildOptions{
		Version: build.BuilderV1,
		Tags:    names(tags), Target: b.Target, Platform: strings.Join(b.Platforms, ","),
		BuildArgs: map[string]*string{}, AuthConfigs: map[string]registry.AuthConfig{},
		Labels: imageLabels(),
		Remove: true, ForceRemove: true, // containers of the build, however it ends
		Memory: e.limits.Memory, MemorySwap: e.limits.Memory,
	}
	if e.limits.CPUs > 0 {
		o.CPUPeriod, o.CPUQuota = cpuPeriod, int64(e.limits.CPUs*cpuPeriod)
	}
	for _, arg := range b.Args {
		name, value, _ := strings.Cut(arg, "=")
		o.BuildArgs[name] = &value
	}
	for _, l := range b.Logins {
		o.AuthConfigs[loginKey(l.Registry)] = authConfig(l)
	}
	return o
}

// sendContext has the engine build what it reads meanwhile, and copies what it
// says.
func (e *Executor) sendContext(ctx context.Context, files *buildContext, o build.ImageBuildOptions, log io.Writer) (id string, err error) {
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := files.write(writer)
		writer.CloseWithError(err) //nolint:errcheck // it never fails
		packed <- err
	}()
	id, err = e.readBuild(ctx, reader, o, log)
	_ = reader.Close() // the engine may not have wanted all of it
	if packErr := <-packed; packErr != nil && !errors.Is(packErr, io.ErrClosedPipe) {
		return "", buildRefused("pack the context: " + packErr.Error())
	}
	return id, err
}

func (e *Executor) readBuild(ctx context.Context, files io.Reader, o build.ImageBuildOptions, log io.Writer) (id string, err error) {
	response, err := e.api.ImageBuild(ctx, files, o)
	switch {
	case client.IsErrConnectionFailed(err):
		return "", noEngine(err)
	case cerrdefs.IsInvalidArgument(err), cerrdefs.IsNotImplemented(err):
		return "", buildRefused(err.Error())
	case err != nil:
		return "", broke("build image", err)
	}
	defer response.Body.Close()
	refusal, err := readMessages(response.Body, func(m message) error {
		var aux struct{ ID string }
		if len(m.Aux) > 0 && json.Unmarshal(m.Aux, &aux) == nil && aux.ID != "" {
			id = aux.ID
		}
		text := m.Stream
		if m.Status != "" && m.ID == "" { // of a pull; layers come with bars
			text = m.Status + "\n"
		}
		_, err := io.WriteString(log, text)
		return err
	})
	switch {
	case err != nil:
		return "", broke("build image", err)
	case refusal != "":
		return "", buildRefused(refusal)
	case id == "":
		return "", broke("build image", errors.New("the engine named no image"))
	}
	return id, nil
}
