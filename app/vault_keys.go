package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/velocity-ci/velocity/storage/seal"
)

const (
	// secretsKey is the file with the key of secrets: in the state of a server, or in
	// the folder of the user's settings for those of repositories.
	secretsKey = "secrets.key"
	// offeredKey is in the name of a key's file until secrets are sealed with the key. It
	// ends as the others do, so that a backup of all of them has it.
	offeredKey = "-new"
)

// A vaultKeys is the files with the keys of a vault. It implements seal.Keys.
type vaultKeys struct {
	path   func() (string, error) // of the key that the vault begins with
	shared bool                   // by several vaults: each is given another one in a file of its own
}

// own is the file of the key that a vault is given in place of its first.
func (k vaultKeys) own(store string) (string, error) {
	path, err := k.path()
	if err != nil || !k.shared {
		return path, err
	}
	sum := sha256.Sum256([]byte(store)) // a file name whatever is in the repository
	return beside(path, "-"+hex.EncodeToString(sum[:8])), nil
}

// beside is a path with words before its extension.
func beside(path, words string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + words + ext
}

// Find implements seal.Keys.
func (k vaultKeys) Find(store, id string) (seal.Key, error) {
	if id == "" {
		path, err := k.path()
		if err != nil {
			return seal.Key{}, err
		}
		return keyAt(path)
	}
	own, err := k.own(store)
	if err != nil {
		return seal.Key{}, err
	}
	for _, path := range []string{own, beside(own, offeredKey), own} { // the second may become the first meanwhile
		key, err := readKey(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return seal.Key{}, err
		case key.ID() == id:
			return key, nil
		}
	}
	return seal.Key{}, fmt.Errorf("%w: %s had it", seal.ErrNoKey, own)
}

// Offer implements seal.Keys.
func (k vaultKeys) Offer(store string, key seal.Key) error {
	own, err := k.own(store)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		return err
	}
	return keepPrivate(beside(own, offeredKey), keyText(key), os.Rename)
}

// Offered implements seal.Keys.
func (k vaultKeys) Offered(store string) (string, error) {
	own, err := k.own(store)
	if err != nil {
		return "", err
	}
	key, err := readKey(beside(own, offeredKey))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return key.ID(), nil
}

// Settle implements seal.Keys.
func (k vaultKeys) Settle(store, id string) error {
	offered, err := k.Offered(store)
	if err != nil || offered == "" {
		return err
	}
	own, err := k.own(store)
	if err != nil {
		return err
	}
	if offered == id {
		err = os.Rename(beside(own, offeredKey), own)
	} else {
		err = os.Remove(beside(own, offeredKey))
	}
	if err != nil {
		return fmt.Errorf("settle the key for secrets: %w", err)
	}
	return syncNames(filepath.Dir(own))
}

func keyText(key seal.Key) []byte { return []byte(key.Text() + "\n") }

// keyAt reads the key in a file, which is made if it is absent: whole, durable and
// for nobody else.
func keyAt(path string) (seal.Key, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
		err = keepPrivate(path, keyText(seal.NewKey()), os.Link)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster
		return seal.Key{}, fmt.Errorf("make the key for secrets: %w", err)
	}
	return readKey(path)
}

// readKey reads the key in a file. The error is fs.ErrNotExist if there is none.
func readKey(path string) (seal.Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return seal.Key{}, fmt.Errorf("read the key for secrets: %w", err)
	}
	key, err := seal.ParseKey(string(text))
	if err != nil {
		return seal.Key{}, fmt.Errorf("read %s: %w", path, err)
	}
	return key, nil
}
