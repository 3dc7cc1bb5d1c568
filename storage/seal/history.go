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

// A draft is a change before it is made.
type draft struct {
	subject string // of the commit: a line of history
	puts    []put
}

// A put sets a file, or with nil data removes it.
type put struct {
	path string
	data []byte
}

func (d *draft) put(path string, data []byte) { d.puts = append(d.puts, put{path, data}) }

// maxTries bounds the races one change may lose.
const maxTries = 100

// change makes what draw drafts from the newest commit, durable when it returns.
// draw is called again after each race that was lost.
func (v *Vault) change(ctx context.Context, draw func(head git.Hash) (draft, error)) error {
	for range maxTries {
		head, err := v.head()
		if err != nil {
			return err
		}
		d, err := draw(head)
		if err != nil {
			return err
		}
		if err := v.commit(ctx, head, d); !errors.Is(err, git.ErrRefMoved) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries: %w", maxTries, git.ErrRefMoved)
}

func (v *Vault) commit(ctx context.Context, head git.Hash, d draft) error {
	batch := v.repo.NewBatch()
	var edits []git.TreeEdit
	for _, p := range d.puts {
		edit := git.TreeEdit{Path: p.path}
		if p.data != nil {
			edit.Mode, edit.Hash = git.ModeFile, batch.Blob(p.data)
		}
		edits = append(edits, edit)
	}
	spec := git.CommitSpec{Name: "Velocity", Email: "velocity@localhost", When: v.now(), Message: d.subject + "\n"}
	base := git.Zero
	if !head.IsZero() {
		commit, err := v.repo.Commit(head)
		if err != nil {
			return err
		}
		base, spec.Parents = commit.Tree, []git.Hash{head}
	}
	var err error
	if spec.Tree, err = batch.EditTree(base, edits); err != nil {
		return err
	}
	return v.repo.Write(ctx, batch, []git.RefUpdate{{Name: Ref, Old: head, New: batch.Commit(spec)}})
}
