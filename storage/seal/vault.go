// Package seal keeps secrets sealed at rest: in a bare repository that is
// the server's own, or one within a user's repository, with a key that is kept
// elsewhere. Every change is one commit on Ref, and so is every use, so that the
// log of Ref tells who set a secret and which attempts were given it:
//
//	secret deploy_key of shop: set by ann
//	secret deploy_key of shop: given to k3f9a2-12/s0t1/1 on builder linux-1
//
// A value is sealed under the store, the repository, the name, the number of the
// value and all that it is bound to: a record that was moved or changed does not
// open. What it does not prevent: whoever has the key and the repository has the
// secrets, also those that were removed, as long as git keeps the old commits.
//
// Who may be given a secret is not decided here: that is architect/grant's.
package seal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/velocity-ci/velocity/storage/git"
)

// Ref is the branch of the secrets in their repository.
const Ref = "refs/velocity/secrets"

// ErrNone means that there is no such secret.
var ErrNone = errors.New("no such secret")

// Folders and files of the tree.
const (
	folderSecrets = "secrets"
	folderUses    = "uses"
	fileStore     = "store" // a random name, different for every vault
	fileKey       = "key"   // id of the key that they are sealed with, unless it is the vault's first
)

// maxRecord bounds one record, in bytes.
const maxRecord = 256 << 10

// A Vault is the secrets in one repository. Any number of processes may read and
// change it at the same time; it is safe for concurrent use.
type Vault struct {
	repo *git.Repository
	keys Keys
	now  func() time.Time
}

// Open is the vault in repo. It reads nothing yet. keys are asked when a value is sealed
// or opened.
func Open(repo *git.Repository, keys Keys, now func() time.Time) *Vault {
	return &Vault{repo: repo, keys: keys, now: now}
}

// Put seals a value under e's name, in place of an earlier one, and returns the
// entry as it is now. It is durable then. What e is bound to replaces what the
// earlier one was bound to, unless e says nothing of it: a new value alone must not
// reach more than the old one did. Errors: *FieldError.
func (v *Vault) Put(ctx context.Context, e Entry, value Secret) (Entry, error) {
	if err := errors.Join(e.check(), checkValue(value)); err != nil {
		return e, err
	}
	e.Set, e.Used, e.By = v.now().UTC(), Use{}, actor(e.By)
	unbound := len(e.Refs)+len(e.Events)+len(e.Blueprints) == 0 && !e.AnyImage
	err := v.change(ctx, func(head git.Hash) (git.Revision, error) {
		store, err := v.store(head)
		if err != nil {
			return git.Revision{}, err
		}
		key, err := v.key(head)
		if err != nil {
			return git.Revision{}, err
		}
		e.Number = 1
		if old, err := v.record(head, id(e)); err == nil {
			e.Number = old.Number + 1
			if unbound {
				e.Refs, e.Events, e.Blueprints, e.AnyImage = old.Refs, old.Events, old.Blueprints, old.AnyImage
			}
		} else if !errors.Is(err, ErrNone) {
			return git.Revision{}, err
		}
		r := recordOf(e)
		under, err := r.under(store)
		if err != nil {
			return git.Revision{}, err
		}
		if r.Sealed, err = key.seal(value, under); err != nil {
			return git.Revision{}, err
		}
		data, err := encode(r)
		d := git.Revision{Subject: e.title() + ": set by " + e.By}
		d.Put(fileStore, []byte(store))
		d.Put(pathOf(folderSecrets, id(e)), data)
		d.Put(pathOf(folderUses, id(e)), nil)
		return d, err
	})
	return e, err
}

// Remove forgets a secret. The next attempt that asks for it is not given it.
// Errors: ErrNone.
func (v *Vault) Remove(ctx context.Context, repository, name, by string) error {
	e := Entry{Repository: repository, Name: name}
	return v.change(ctx, func(head git.Hash) (git.Revision, error) {
		d := git.Revision{Subject: e.title() + ": removed by " + actor(by)}
		d.Put(pathOf(folderSecrets, id(e)), nil)
		d.Put(pathOf(folderUses, id(e)), nil)
		_, err := v.read(head, pathOf(folderSecrets, id(e))) // a damaged one can be removed, too
		return d, err
	})
}

// List tells all secrets, those of the site first.
func (v *Vault) List() ([]Entry, error) {
	head, err := v.head()
	if err != nil || head.IsZero() {
		return nil, err
	}
	files, err := v.repo.List(head, folderSecrets)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	var all []Entry
	for _, f := range files {
		id := strings.TrimSuffix(f.Name, ".json")
		r, err := v.record(head, id)
		if err != nil {
			return nil, err
		}
		e := r.entry()
		if e.Used, err = v.used(head, id); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.SortFunc(all, byName)
	return all, nil
}

// Find is the secret that a repository has under a name: its own before the
// site's. Errors: ErrNone.
func (v *Vault) Find(repository, name string) (Entry, error) {
	head, err := v.head()
	if err != nil {
		return Entry{}, err
	}
	for _, of := range []string{repository, ""} {
		e := Entry{Repository: of, Name: name}
		r, err := v.record(head, id(e))
		if errors.Is(err, ErrNone) {
			continue
		}
		if err == nil && (r.Name != name || r.Repository != of) {
			err = fmt.Errorf("%s: the record is another's", e.title())
		}
		return r.entry(), err
	}
	return Entry{}, ErrNone
}

// Give opens secrets as Find told them, and records that an attempt was given
// them: that is durable before a value leaves here. One that was set again or
// removed since is an error.
func (v *Vault) Give(ctx context.Context, entries []Entry, to Use) ([]Secret, error) {
	var values []Secret
	err := v.change(ctx, func(head git.Hash) (git.Revision, error) {
		d := git.Revision{}
		key, err := v.key(head)
		if err != nil {
			return d, err
		}
		values = nil
		var titles []string
		for _, e := range entries {
			value, err := v.open(head, key, e)
			if err != nil {
				return d, fmt.Errorf("open %s: %w", e.title(), err)
			}
			data, err := encode(use{Version: recordVersion, At: to.At.UTC(), Attempt: to.Attempt, Builder: to.Builder})
			if err != nil {
				return d, err
			}
			values, titles = append(values, value), append(titles, e.title())
			d.Put(pathOf(folderUses, id(e)), data)
		}
		d.Subject = strings.Join(titles, ", ") + ": given to " + actor(to.Attempt) + " on builder " + actor(to.Builder)
		return d, nil
	})
	return values, err
}

var errChanged = errors.New("it was changed meanwhile")

func (v *Vault) open(head git.Hash, key Key, e Entry) (Secret, error) {
	r, err := v.record(head, id(e))
	if err != nil {
		return Secret{}, err
	}
	if r.Number != e.Number || !r.Set.Equal(e.Set) {
		return Secret{}, errChanged
	}
	store, err := v.store(head)
	if err != nil {
		return Secret{}, err
	}
	under, err := r.under(store)
	if err != nil {
		return Secret{}, err
	}
	return key.open(r.Sealed, under)
}

// title names a secret in a line of history.
func (e Entry) title() string {
	if e.Repository == "" {
		return "secret " + actor(e.Name)
	}
	return "secret " + actor(e.Name) + " of " + actor(e.Repository)
}

// id is the name of a secret's files: repositories may have any name.
func id(e Entry) string {
	sum := sha256.Sum256([]byte(e.Repository + "\x00" + e.Name))
	return hex.EncodeToString(sum[:16])
}

// actor is whoever made a change, for a line of history.
func actor(by string) string {
	by = strings.Join(strings.FieldsFunc(by, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }), " ")
	if by == "" {
		return "someone"
	}
	return by
}

// store is the vault's random name; a new one if it has none yet.
func (v *Vault) store(head git.Hash) (string, error) {
	data, err := v.read(head, fileStore)
	if errors.Is(err, ErrNone) {
		return rand.Text(), nil
	}
	return string(data), err
}
