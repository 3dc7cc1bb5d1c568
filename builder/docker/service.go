package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/velocity-ci/velocity/builder/executor"
)

const (
	readyTime  = time.Minute            // for a service to become ready
	readyPause = 200 * time.Millisecond // between two questions
	readySaid  = 400                    // bytes that are kept of an answer
)

// A service is one container that runs beside a command.
type service struct {
	executor.Service
	box    *box
	stream *stream
	out    *output // nil until it was started
	ended  *watch
	forget func()
}

// start starts the container, attached, so that no line is missed.
func (s *service) start(ctx context.Context) error {
	stream, err := s.box.attach(ctx)
	if err != nil {
		return broke("attach to container", err)
	}
	if err := s.box.api.ContainerStart(ctx, s.box.name, container.StartOptions{}); err != nil {
		stream.Close()
		return startError(s.Image, err)
	}
	s.stream, s.out = stream, newOutput(s.Stdout, s.Stderr)
	s.ended, s.forget = s.box.watch(ctx)
	s.out.copy(stream)
	return nil
}

// await returns once the service's ready command ended well. One that has none
// has only to be running.
func (s *service) await(ctx context.Context) error {
	within, cancel := context.WithTimeoutCause(ctx, readyTime, errNotReady)
	defer cancel()
	said := ""
	for {
		ready, err := s.ask(within, &said)
		select {
		case <-s.ended.done: // whatever was answered
			return notReady(s.Alias, fmt.Sprintf("it ended with exit %d", s.ended.exit), said)
		default:
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case within.Err() != nil:
			return notReady(s.Alias, "not within "+readyTime.String(), said)
		case ready || err != nil:
			return err
		}
		s.pause(within)
	}
}

// pause waits before the next question, and no longer than there is a service.
func (s *service) pause(ctx context.Context) {
	timer := time.NewTimer(readyPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ended.done:
	case <-ctx.Done():
	}
}

// ask runs the ready command once. What it printed is kept in said if it did not
// end well.
func (s *service) ask(ctx context.Context, said *string) (ready bool, err error) {
	if len(s.Ready) == 0 {
		return true, nil
	}
	made, err := s.box.api.ContainerExecCreate(ctx, s.box.name, container.ExecOptions{
		Cmd: s.Ready, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return false, s.askError(ctx, err)
	}
	options, err := json.Marshal(container.ExecStartOptions{})
	if err != nil {
		return false, err
	}
	stream, err := hijack(ctx, s.box.api, "/exec/"+made.ID+"/start", string(options))
	if err != nil {
		return false, s.askError(ctx, err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	var printed readAnswer
	if _, err := stdcopy.StdCopy(&printed, &printed, stream); err != nil {
		return false, s.askError(ctx, err)
	}
	end, err := s.box.api.ContainerExecInspect(ctx, made.ID)
	if err != nil {
		return false, s.askError(ctx, err)
	}
	*said = strings.TrimSpace(strings.ToValidUTF8(printed.String(), "?"))
	return end.ExitCode == 0 && !end.Running, nil
}

// askError tells an engine in trouble from a container that ended meanwhile,
// which the caller sees by itself. An engine may answer anything where the end
// comes between two questions, so it is asked about that.
func (s *service) askError(ctx context.Context, err error) error {
	if cerrdefs.IsConflict(err) || cerrdefs.IsNotFound(err) {
		return nil // it is ending; asked again, it will have ended
	}
	if at, inspected := s.box.api.ContainerInspect(ctx, s.box.name); inspected == nil && !at.State.Running {
		return nil
	}
	return broke("ask whether service "+s.Alias+" is ready", err)
}

// end kills the container and waits for its last line, and so for the end of its
// use of the writers.
func (s *service) end(ctx context.Context) {
	if s.out == nil {
		return
	}
	defer s.forget()
	_ = s.box.stop(ctx, 0, s.ended) // what this cannot end, removing it will
	s.out.drain(ctx, s.stream, true)
}

// A readAnswer keeps the first bytes of an answer.
type readAnswer struct{ bytes.Buffer }

func (a *readAnswer) Write(p []byte) (int, error) {
	_, _ = a.Buffer.Write(p[:min(len(p), readySaid-a.Len())])
	return len(p), nil
}
