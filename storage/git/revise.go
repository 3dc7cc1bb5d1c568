package git

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Revision is a change of the files that a ref leads to.
type Revision struct {
	Subject string // of the commit: a line of history
	Files   []FileEdit
}

// A FileEdit sets a file, or with nil Data removes it.
type FileEdit struct {
	Path string
	Data []byte
}

// Put sets a file, or with nil data removes it.
func (v *Revision) Put(path string, data []byte) {
	v.Files = append(v.Files, FileEdit{Path: path, Data: data})
}

// maxRaces bounds the races that one revision may lose.
const maxRaces = 100

// Revise commits what draw makes of the newest commit of a ref, Zero for a ref
// that is not there yet, and returns once that is durable. draw is called again
// after each race that was lost. With no files, or an error, nothing is committed.
func (r *Repository) Revise(ctx context.Context, ref string, now func() time.Time, draw func(head Hash) (Revision, error)) error {
	for range maxRaces {
		head, err := r.Ref(ref)
		if err != nil && !errors.Is(err, ErrRefNotFound) {
			return err
		}
		v, err := draw(head)
		if err != nil || len(v.Files) == 0 {
			return err
		}
		if err := r.revise(ctx, ref, head, now(), v); !errors.Is(err, ErrRefMoved) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries: %w", maxRaces, ErrRefMoved)
}

func (r *Repository) revise(ctx context.Context, ref string, head Hash, at time.Time, v Revision) error {
	batch := r.NewBatch()
	var edits []TreeEdit
	for _, f := range v.Files {
		edit := TreeEdit{Path: f.Path}
		if f.Data != nil {
			edit.Mode, edit.Hash = ModeFile, batch.Blob(f.Data)
		}
		edits = append(edits, edit)
	}
	spec := CommitSpec{Name: "Velocity", Email: "velocity@localhost", When: at, Message: v.Subject + "\n"}
	base := Zero
	if !head.IsZero() {
		commit, err := r.Commit(head)
		if err != nil {
			return err
		}
		base, spec.Parents = commit.Tree, []Hash{head}
	}
	var err error
	if spec.Tree, err = batch.EditTree(base, edits); err != nil {
		return err
	}
	return r.Write(ctx, batch, []RefUpdate{{Name: ref, Old: head, New: batch.Commit(spec)}})
}
