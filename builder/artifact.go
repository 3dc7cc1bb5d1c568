package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/parcel"
)

// fetchNeeds unpacks the artifacts that the task needs. In a shared work tree they
// are there.
func (t *attempt) fetchNeeds(ctx context.Context, root *os.Root) error {
	if t.builder.InPlace {
		return nil
	}
	for _, need := range t.given.Needs {
		if err := t.fetchNeed(ctx, root, need); err != nil {
			return err
		}
	}
	return nil
}

func (t *attempt) fetchNeed(ctx context.Context, root *os.Root, need dispatch.Need) error {
	if t.builder.Keeper == nil {
		return failed("artifacts of %s: this builder has no way to artifacts", need.Name)
	}
	files, size := 0, int64(0)
	err := t.persist(ctx, func() (err error) {
		files, size, err = unpack(ctx, root, func() (io.ReadCloser, error) {
			return t.builder.Keeper.Artifacts(ctx, t.given, need)
		}, parcel.Artifacts)
		return err
	})
	var refused *KeepError
	switch {
	case errors.Is(err, ErrNoFiles):
	case errors.Is(err, ErrNothingKept):
		return failed("artifacts of %s: it kept none, or they are not kept any more: build it again", need.Name)
	case errors.Is(err, parcel.ErrRefused), errors.As(err, &refused):
		return failed("artifacts of %s: %v", need.Name, err)
	case err != nil:
		return fmt.Errorf("artifacts of %s could not be fetched: %w", need.Name, err)
	}
	t.journal.note(t.masker, "artifacts of %s: %s", need.Name, amount(files, size))
	return nil
}

// keepArtifacts keeps what the task's patterns select, also if that is nothing:
// who needs it shall learn that there is nothing.
func (t *attempt) keepArtifacts(ctx context.Context, root *os.Root) error {
	patterns := t.given.Task.Artifacts
	if len(patterns) == 0 {
		return nil
	}
	if t.builder.Keeper == nil && !t.builder.InPlace {
		return failed("artifacts could not be kept: this builder has no way to do so")
	}
	where := "kept"
	err := t.packFiles(ctx, root, patterns, parcel.Artifacts, func(p Pack) error {
		for _, file := range p.Files {
			if t.masker.String(file.Name) != file.Name {
				return &KeepError{Reason: "the name of a file holds a secret"}
			}
		}
		t.artifacts = p.Files
		if t.builder.InPlace {
			where = "they stay in the work tree"
			return nil
		}
		return t.persist(ctx, func() error { return t.builder.Keeper.KeepArtifacts(ctx, t.given, p) })
	})
	var refused *KeepError
	switch {
	case errors.Is(err, parcel.ErrRefused), errors.As(err, &refused):
		t.artifacts = nil
		return failed("artifacts could not be kept: %v", err)
	case err != nil:
		t.artifacts = nil
		return fmt.Errorf("artifacts could not be kept: %w", err)
	}
	size := int64(0)
	for _, a := range t.artifacts {
		size += a.Size
	}
	if len(t.artifacts) == 0 {
		t.journal.note(t.masker, "artifacts: no file matches %s", strings.Join(patterns, ", "))
		return nil
	}
	t.journal.note(t.masker, "artifacts: %s, %s", amount(len(t.artifacts), size), where)
	return nil
}
