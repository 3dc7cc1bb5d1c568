package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/velocity-ci/velocity/storage/git"
)

func pathOf(folder, id string) string { return folder + "/" + id + ".json" }

// head is the newest commit, Zero before the first change.
func (v *Vault) head() (git.Hash, error) {
	h, err := v.repo.Ref(Ref)
	if errors.Is(err, git.ErrRefNotFound) {
		return git.Zero, nil
	}
	return h, err
}

// read returns a file as of a commit, or ErrNone.
func (v *Vault) read(head git.Hash, path string) ([]byte, error) {
	if head.IsZero() {
		return nil, ErrNone
	}
	data, err := v.repo.ReadFile(head, path, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	return data, err
}

func (v *Vault) record(head git.Hash, id string) (record, error) {
	data, err := v.read(head, pathOf(folderSecrets, id))
	if err != nil {
		return record{}, err
	}
	return decodeRecord(data)
}

// used is when a secret was given last.
func (v *Vault) used(head git.Hash, id string) (Use, error) {
	data, err := v.read(head, pathOf(folderUses, id))
	if errors.Is(err, ErrNone) {
		return Use{}, nil
	}
	if err != nil {
		return Use{}, err
	}
	var u use
	if err := json.Unmarshal(data, &u); err != nil {
		return Use{}, fmt.Errorf("decode a secret's last use: %w", err)
	}
	return Use{At: u.At, Attempt: u.Attempt, Builder: u.Builder}, nil
}

// change makes what draw drafts from the newest commit, durable when it returns.
func (v *Vault) change(ctx context.Context, draw func(head git.Hash) (git.Revision, error)) error {
	return v.repo.Revise(ctx, Ref, v.now, draw)
}
