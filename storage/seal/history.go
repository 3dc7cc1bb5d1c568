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

// maxLate bounds how often one change may find the key gone that it needs.
const maxLate = 100

// change makes what draw drafts from the newest commit, durable when it returns. A key
// that is not there, or does not open, may have been dropped since that commit was read,
// with which there is a newer one: then draw is called again.
func (v *Vault) change(ctx context.Context, draw func(head git.Hash) (git.Revision, error)) error {
	for tries := 1; ; tries++ {
		var seen git.Hash
		err := v.repo.Revise(ctx, Ref, v.now, func(head git.Hash) (git.Revision, error) {
			seen = head
			return draw(head)
		})
		if !errors.Is(err, ErrNoKey) && !errors.Is(err, ErrUnopened) || tries == maxLate {
			return err
		}
		head, headErr := v.head()
		if headErr != nil {
			return headErr
		}
		if head == seen {
			return err
		}
	}
}
