package builder

import (
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/source"
)

// setup makes everything ready for the first step. What can fail without a
// workspace fails before one is made, and secrets are known before anything is
// printed. closeWorkspace is nil if there is none.
func (t *attempt) setup(ctx context.Context) (closeWorkspace func() error, err error) {
	if err := t.checkSteps(ctx); err != nil {
		return nil, err
	}
	if err := t.resolveGiven(); err != nil {
		return nil, err
	}
	want, err := t.source()
	if err != nil {
		return nil, err
	}
	ws, closeWorkspace, err := t.builder.Workspaces.Open(ctx, want)
	if err != nil {
		return nil, fmt.Errorf("open workspace: %w", err)
	}
	if t.builder.Source != nil {
		t.builder.hasFetched(t.given.Repository)
	}
	t.workspace = ws
	if err := t.resolve(ctx); err != nil {
		return closeWorkspace, err
	}
	return closeWorkspace, t.logIn(ctx)
}

// source says which files the attempt needs, and from where.
func (t *attempt) source() (source.Request, error) {
	want := source.Request{
		Name:       fileName(t.given.Attempt),
		Repository: t.given.Source,
		Commit:     t.given.Commit,
		Submodules: t.given.Task.Git.Submodule,
		Origin:     t.given.Submodules.Origin,
		Hosts:      t.given.Submodules.Hosts,
		Depth:      t.given.Task.Git.Depth,
		Password:   t.given.Credential,
		Own:        t.builder.strange(t.given),
	}
	if t.builder.Source == nil {
		return want, nil
	}
	address, err := t.builder.Source(t.given)
	if err != nil {
		return want, fmt.Errorf("find the source: %w", err)
	}
	want.Repository = address
	return want, nil
}

// checkSteps refuses a task of which some step could never run here.
func (t *attempt) checkSteps(ctx context.Context) error {
	engineAsked := false
	for i, s := range t.given.Task.Steps {
		need, err := t.engineFor(i, &s)
		switch {
		case err != nil:
			return err
		case need == "" || engineAsked:
			continue
		}
		engineAsked = true
		if err := t.builder.Docker.Available(ctx); err != nil {
			return failed("step %d %s: %v", i+1, need, err)
		}
		if err := t.checkEngine(ctx); err != nil {
			return err
		}
	}
	return nil
}

// engineFor says for what step i needs a Docker engine, or "" if it needs none.
// The error is that it can never run here.
func (t *attempt) engineFor(i int, s *plan.Step) (need string, err error) {
	n := i + 1
	switch {
	case s.Skip:
		return "", nil
	case s.Type == plan.StepBuild && s.Build != nil, s.Type == plan.StepPush && s.Push != nil:
		if t.builder.Docker == nil {
			return "", failed("step %d (%s): this builder has no Docker engine: start it with --executor docker", n, s.Type)
		}
		return fmt.Sprintf("(%s)", s.Type), nil
	case s.Type == plan.StepCompose && s.Compose != nil:
		if t.builder.Docker == nil {
			return "", failed("step %d (%s): this builder has no Docker engine: start it with --executor docker", n, s.Type)
		}
		if t.builder.Compose == nil {
			return "", failed("step %d (%s): this builder has no docker compose plugin (version 2.20 or newer)", n, s.Type)
		}
		return fmt.Sprintf("(%s)", s.Type), nil
	case s.Type != plan.StepRun || s.Run == nil:
		return "", failed("step %d (%s): this builder cannot run %s steps", n, s.Type, s.Type)
	case t.onHost(s.Run) && len(s.Run.Services) > 0:
		return "", failed("step %d has services, which only run beside a container: name an image, and a builder with --executor docker", n)
	case t.onHost(s.Run) && t.builder.Host == nil:
		return "", failed("step %d names no image, and this builder runs nothing on its own machine: "+
			"name an image, or start the builder with --executor host", n)
	case t.onHost(s.Run):
		return "", nil
	case t.builder.Docker == nil:
		return "", failed("step %d needs an image (%s), and this builder has no Docker engine: "+
			"--executor host runs it on this machine", n, s.Run.Image)
	}
	return fmt.Sprintf("needs an image (%s)", s.Run.Image), nil
}

// needsEngine reports whether any step does.
func (t *attempt) needsEngine() bool {
	for i, s := range t.given.Task.Steps {
		if need, err := t.engineFor(i, &s); need != "" && err == nil {
			return true
		}
	}
	return false
}

// resolveGiven checks that every parameter has a value, as far as values are
// given, and makes the secret ones known to the masker.
func (t *attempt) resolveGiven() error {
	secrets := map[string]string{}
	for _, p := range t.given.Task.Parameters {
		if p.Derived != nil {
			continue
		}
		text, ok := t.givenValue(p)
		if !ok {
			return failed("parameter %s has no value", p.Name)
		}
		if p.Secret {
			secrets[p.Name] = text
		}
	}
	return t.hide(secrets)
}

func (t *attempt) givenValue(p plan.Parameter) (string, bool) {
	if p.Value != nil {
		return *p.Value, true
	}
	text, ok := t.given.Values[p.Name]
	return text, ok
}

// hide makes the masker know more secrets. One that is too short to be masked
// fails the task: it would leak.
func (t *attempt) hide(secrets map[string]string) error {
	m, err := t.masker.With(secrets)
	if err != nil {
		return failed("%v", err)
	}
	t.masker, t.hidden = m, append(t.hidden, secrets)
	return nil
}

// resolve gives every parameter its value, in the plan's order: a derived one
// may use those before it.
func (t *attempt) resolve(ctx context.Context) error {
	t.values = values{}
	for _, builtIn := range []map[string]string{t.given.Git, t.given.Values} {
		for name, text := range builtIn {
			if !plan.BuiltIn(name) {
				continue
			}
			if err := t.values.set(name, text, false); err != nil {
				return err
			}
		}
	}
	for _, p := range t.given.Task.Parameters {
		if p.Derived != nil {
			if err := t.derive(ctx, p); err != nil {
				return err
			}
			continue
		}
		text, _ := t.givenValue(p)
		if err := t.values.set(p.Name, text, p.Secret); err != nil {
			return err
		}
	}
	return nil
}
