package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/seal"
)

// readSecret reads a value from standard input: never from an argument, which
// others on the machine could see.
func (c *cli) readSecret(ctx context.Context, name string) ([]byte, error) {
	if term.IsTerminal(c.In) {
		fmt.Fprintf(c.Err, "%s: ", term.Clean(name))
		text, err := readAnswer(ctx, c.In.(*os.File), true)
		fmt.Fprintln(c.Err)
		return []byte(text), err
	}
	value, err := io.ReadAll(io.LimitReader(c.In, seal.MaxValue+2)) // the end of a line may follow the longest
	if err != nil {
		return nil, fmt.Errorf("read the value: %w", err)
	}
	if i := bytes.IndexByte(value, '\n'); i == len(value)-1 && i >= 0 { // a key's last line end belongs to it
		value = bytes.TrimSuffix(value[:i], []byte{'\r'})
	}
	return value, nil
}

// An ownKeeper keeps the secrets of one repository, for builds on this machine.
type ownKeeper struct {
	c    *cli
	repo *git.Repository
}

// Secrets implements secretKeeper.
func (k ownKeeper) Secrets(ctx context.Context) ([]api.Secret, error) {
	v, err := k.c.repositoryVault(ctx, k.repo, false)
	if v == nil || err != nil {
		return nil, err
	}
	entries, err := v.List()
	var all []api.Secret
	for _, e := range entries {
		all = append(all, web.Shown(e))
	}
	return all, err
}

// SetSecret implements secretKeeper.
func (k ownKeeper) SetSecret(ctx context.Context, ask api.SetSecret) (api.Secret, error) {
	s := ask.Secret
	if err := (grant.Binding{Refs: s.Refs, Events: s.Events}).Check(); err != nil {
		return s, usage("%w", err)
	}
	v, err := k.c.repositoryVault(ctx, k.repo, true)
	if err != nil {
		return s, err
	}
	e, err := v.Put(ctx, seal.Entry{
		Name: s.Name, Refs: s.Refs, Events: s.Events, Blueprints: s.Blueprints, AnyImage: s.AnyImage, By: s.By,
	}, seal.NewSecret(ask.Value))
	var field *seal.FieldError
	if errors.As(err, &field) {
		return s, usage("%w", err)
	}
	return web.Shown(e), err
}

// RemoveSecret implements secretKeeper.
func (k ownKeeper) RemoveSecret(ctx context.Context, _, name string) error {
	v, err := k.c.repositoryVault(ctx, k.repo, false)
	if err == nil && v == nil {
		err = seal.ErrNone
	}
	if err == nil {
		err = v.Remove(ctx, "", name, k.c.pusher())
	}
	if errors.Is(err, seal.ErrNone) {
		return usage("there is no secret %q in this repository", name).hint("velocity secret list shows what there is")
	}
	return err
}

// RotateSecrets implements secretKeeper.
func (k ownKeeper) RotateSecrets(ctx context.Context, by string) (api.Rotated, error) {
	v, err := k.c.repositoryVault(ctx, k.repo, false)
	if v == nil || err != nil {
		return api.Rotated{}, err
	}
	n, err := v.Rotate(ctx, by)
	if errors.Is(err, seal.ErrNoKey) || errors.Is(err, seal.ErrUnopened) {
		return api.Rotated{}, usage("%w", err).hint("without its key a value is lost: velocity secret rm NAME, for each, then velocity secret rotate begins anew")
	}
	return api.Rotated{Secrets: n}, err
}
