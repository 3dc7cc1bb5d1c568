package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/seal"
)

// ownSecrets is the repository with a repository's own secrets, in its folder.
const ownSecrets = "secrets.git"

// stateVault is the vault of a server, in its own repository; its key is beside it.
func (c *cli) stateVault(repo *git.Repository) *seal.Vault {
	path := filepath.Join(filepath.Dir(repo.CommonDir()), secretsKey)
	return seal.Open(repo, vaultKeys{path: func() (string, error) { return path, nil }}, c.clock)
}

// repositoryVault is the vault of one repository, whose key is among the settings
// of the user. Unless it shall be made, there may be none: nil.
func (c *cli) repositoryVault(ctx context.Context, repo *git.Repository, create bool) (*seal.Vault, error) {
	folder := filepath.Join(folderOf(repo), ownSecrets)
	_, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) && !create {
		return nil, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open the repository's secrets: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make a place for secrets: %w", err)
	}
	own, err := git.MakeBare(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("open the repository's secrets: %w", err)
	}
	return seal.Open(own, vaultKeys{shared: true, path: func() (string, error) {
		file, err := c.loginsPath()
		return filepath.Join(filepath.Dir(file), secretsKey), err
	}}, c.clock), nil
}

// A vault is where the secrets of a site are looked for: the repository's own
// first, then those that a server keeps for it.
type vault struct {
	c          *cli
	repo       *git.Repository
	repository string      // what it stays known by on the server
	server     *seal.Vault // nil without one
}

// A found secret is one with the vault that it is in.
type found struct {
	in    *seal.Vault
	entry seal.Entry
}

// find looks for a secret. Errors: seal.ErrNone.
func (v *vault) find(ctx context.Context, name string) (found, error) {
	own, err := v.c.repositoryVault(ctx, v.repo, false)
	if err != nil {
		return found{}, err
	}
	for _, in := range []*seal.Vault{own, v.server} {
		if in == nil {
			continue
		}
		repository := "" // all in it are the repository's
		if in != own {
			repository = v.repository
		}
		entry, err := in.Find(repository, name)
		if !errors.Is(err, seal.ErrNone) {
			return found{in, entry}, err
		}
	}
	return found{}, seal.ErrNone
}

// Has implements architect.Vault.
func (v *vault) Has(name string) (bool, error) {
	_, err := v.find(context.Background(), name)
	if errors.Is(err, seal.ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// Give implements architect.Vault.
func (v *vault) Give(ctx context.Context, names []string, to architect.Receiver, allow func(grant.Binding) error) (map[string]string, error) {
	all := map[*seal.Vault][]seal.Entry{}
	for _, name := range names {
		f, err := v.find(ctx, name)
		if errors.Is(err, seal.ErrNone) {
			return nil, &grant.WithheldError{What: "secret " + name, Why: "there is none of that name (any more); velocity secret set keeps one"}
		}
		if err != nil {
			return nil, err
		}
		if err := allow(bindingOf(f.entry)); err != nil {
			return nil, err
		}
		all[f.in] = append(all[f.in], f.entry)
	}
	given := map[string]string{}
	use := seal.Use{At: to.At, Attempt: to.Attempt.String(), Builder: to.Builder}
	for in, entries := range all {
		values, err := in.Give(ctx, entries, use)
		if err != nil {
			return nil, err
		}
		for i, e := range entries {
			given[e.Name] = values[i].Reveal()
		}
	}
	return given, nil
}

// bindingOf is what a secret is for, in the words of the decision.
func bindingOf(e seal.Entry) grant.Binding {
	return grant.Binding{Name: e.Name, Refs: e.Refs, Events: e.Events, Blueprints: e.Blueprints, AnyImage: e.AnyImage}
}
