package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/velocity-ci/velocity/storage/git"
)

// Keys are where the keys of a vault are kept: not where its secrets are. Any number of
// processes may look for a key while one offers and settles.
type Keys interface {
	// Find is the key of this id. "" is that of the key with which a vault begins, which
	// is made if there is none. Errors: ErrNoKey.
	Find(store, id string) (Key, error)
	// Offer keeps a key beside the one in use, in place of an earlier offer. It is
	// durable when Offer returns.
	Offer(store string, k Key) error
	// Offered is the id of the key that was offered and not settled, "" if there is none.
	Offered(store string) (string, error)
	// Settle ends the offer, if there is one: of this id, it takes the place of the key
	// in use, which is dropped unless other vaults have it, too; else the offer is dropped.
	Settle(store, id string) error
}

var (
	// ErrNoKey means that the key is not there with which the secrets are sealed.
	ErrNoKey = errors.New("the key with which the secrets are sealed is not here")
	// ErrUnopened means that a secret does not open.
	ErrUnopened = errors.New("it was sealed with another key, or for another name, repository or binding")
)

// lockFile has at most one process change the key of a vault.
const lockFile = "secrets.lock"

// Rotate makes a new key and seals every secret with it, all in one change, and says how
// many. Until that is durable the earlier key opens them, from then on the new one, also
// if the process is killed; the earlier one is then dropped. What was given stays given,
// and what is bound stays bound. Errors: ErrNoKey and ErrUnopened, if not all could be
// opened; then nothing is changed.
func (v *Vault) Rotate(ctx context.Context, by string) (n int, err error) {
	unlock, err := v.repo.Lock(ctx, lockFile)
	if err != nil {
		return 0, err
	}
	defer unlock()
	head, err := v.head()
	if err != nil || head.IsZero() {
		return 0, err
	}
	store, err := v.store(head)
	if err != nil {
		return 0, err
	}
	if err := v.complete(ctx, head, store); err != nil {
		return 0, fmt.Errorf("complete the rotation before this one: %w", err)
	}
	key := NewKey()
	if err := v.keys.Offer(store, key); err != nil {
		return 0, fmt.Errorf("keep a new key for secrets: %w", err)
	}
	err = v.change(ctx, func(head git.Hash) (d git.Revision, err error) {
		d.Subject = "secrets: sealed with another key by " + actor(by)
		n, err = v.reseal(&d, head, store, key)
		return d, err
	})
	if err != nil {
		return 0, errors.Join(err, v.withdraw(store, key))
	}
	return n, v.keys.Settle(store, key.ID())
}

// complete ends what a process that was killed left: what it offered is settled as the
// secrets are sealed.
func (v *Vault) complete(ctx context.Context, head git.Hash, store string) error {
	offered, err := v.keys.Offered(store)
	if err != nil || offered == "" {
		return err
	}
	id, err := v.keyID(head)
	if err != nil {
		return err
	}
	if id == offered { // it may have been killed before that was durable: this one is
		err = v.change(ctx, func(git.Hash) (git.Revision, error) {
			d := git.Revision{Subject: "secrets: sealed with another key, as before"}
			d.Put(fileKey, []byte(id))
			return d, nil
		})
	}
	if err != nil {
		return err
	}
	return v.keys.Settle(store, id)
}

// withdraw drops a key that was offered, unless the secrets are sealed with it: that a
// change failed need not mean that it was not made.
func (v *Vault) withdraw(store string, key Key) error {
	head, err := v.head()
	if err != nil {
		return err
	}
	id, err := v.keyID(head)
	if err != nil || id == key.ID() {
		return err
	}
	return v.keys.Settle(store, id)
}

// reseal drafts every secret of a commit as sealed with another key.
func (v *Vault) reseal(d *git.Revision, head git.Hash, store string, to Key) (n int, err error) {
	files, err := v.repo.List(head, folderSecrets)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("list secrets: %w", err)
	}
	d.Put(fileKey, []byte(to.ID()))
	if len(files) == 0 {
		return 0, nil
	}
	from, err := v.key(head)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		r, err := v.record(head, strings.TrimSuffix(f.Name, ".json"))
		if err != nil {
			return 0, err
		}
		under, err := r.under(store)
		if err != nil {
			return 0, err
		}
		value, err := from.open(r.Sealed, under)
		if err != nil {
			return 0, fmt.Errorf("open %s: %w", r.entry().title(), err)
		}
		if r.Sealed, err = to.seal(value, under); err != nil {
			return 0, err
		}
		data, err := encode(r)
		if err != nil {
			return 0, err
		}
		d.Put(folderSecrets+"/"+f.Name, data)
	}
	return len(files), nil
}

// keyID is the id of the key with which a commit's values are sealed, "" for the one
// with which the vault began.
func (v *Vault) keyID(head git.Hash) (string, error) {
	data, err := v.read(head, fileKey)
	if errors.Is(err, ErrNone) {
		return "", nil
	}
	return string(data), err
}

// key is the key with which a commit's values are sealed.
func (v *Vault) key(head git.Hash) (Key, error) {
	store, err := v.store(head)
	if err != nil {
		return Key{}, err
	}
	id, err := v.keyID(head)
	if err != nil {
		return Key{}, err
	}
	return v.keys.Find(store, id)
}
