package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// AppendOwing is Append for a change with which plugins begin to be owed the events
// of a build: both are durable, or neither is.
func (l *Ledger) AppendOwing(c build.Change, o Owed, done func(error)) {
	data, err := encodeOutbox(o)
	if err != nil {
		go done(err)
		return
	}
	if !l.queue.put(entry{change: c, owed: owedEdit{outboxPath(o.Build), data}, done: done}) {
		go done(errReleased)
	}
}

// KeepOwed records how far plugins are with a build, and forgets it when none of
// them is owed anything. It returns nil once that is durable, together with whatever
// else was to be recorded at that time. An error of ctx says nothing about whether
// it will be.
func (l *Ledger) KeepOwed(ctx context.Context, o Owed) error {
	data, err := encodeOutbox(o)
	if err != nil {
		return err
	}
	return l.await(ctx, entry{owed: owedEdit{outboxPath(o.Build), data}})
}

// await records an entry and returns when that is durable.
func (l *Ledger) await(ctx context.Context, e entry) error {
	done := make(chan error, 1)
	e.done = func(err error) { done <- err }
	if !l.queue.put(e) {
		return errReleased
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// An owedEdit is one record of the outbox as it shall be; nil data has it gone.
type owedEdit struct {
	path string // "" for none
	data []byte
}

// editOutbox are the edits of the desk that record what is owed. What is not there
// need not go.
func (b *batch) editOutbox() (edits []git.TreeEdit, err error) {
	for _, path := range slices.Sorted(maps.Keys(b.owed)) {
		if data := b.owed[path]; data != nil {
			edits = append(edits, git.TreeEdit{Path: path, Mode: git.ModeFile, Hash: b.objects.Blob(data)})
			continue
		}
		gone, err := b.l.dropOwed(path)
		if err != nil {
			return nil, err
		}
		edits = append(edits, gone...)
	}
	return edits, nil
}

// dropOwed is the edit that takes a record from the outbox, if it is there.
func (l *Ledger) dropOwed(path string) ([]git.TreeEdit, error) {
	if l.desk.IsZero() {
		return nil, nil
	}
	_, err := l.repo.Entry(l.desk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return dropAll([]string{path}), err
}

// maxOwed is above all that can wait: a server that is behind by so much has other
// troubles.
const maxOwed = 1 << 20

// Owed lists what plugins are still to be told, by number of the build. Records that
// cannot be read are left out, and named in damaged: fsck drops them.
func (s *Store) Owed(context.Context) (owed []Owed, damaged []error, err error) {
	store, err := s.ID()
	if err != nil || store == "" {
		return nil, nil, err
	}
	desk, err := s.repo.Ref(storeRef(store, "desk"))
	if errors.Is(err, git.ErrRefNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read outbox: %w", err)
	}
	err = s.eachOwed(store, desk, func(path string, o Owed, why error) error {
		if why != nil {
			damaged = append(damaged, fmt.Errorf("read %s: %w", path, why))
			return nil
		}
		owed = append(owed, o)
		return nil
	})
	return owed, damaged, err
}

// eachOwed visits the outbox of a desk, also what cannot be read of it. Errors: those
// of visit, or a *folderError.
func (s *Store) eachOwed(store string, desk git.Hash, visit func(path string, o Owed, err error) error) error {
	files, err := s.repo.Walk(desk, outboxFolder, maxOwed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &folderError{outboxFolder, err}
	}
	for _, f := range files {
		path := outboxFolder + "/" + f.Name
		o, err := s.owed(desk, path)
		if err == nil && (o.Build.Store != store || outboxPath(o.Build) != path) {
			err = fmt.Errorf("it is about build %s", o.Build)
		}
		if err := visit(path, o, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) owed(desk git.Hash, path string) (Owed, error) {
	data, err := s.repo.ReadFile(desk, path, maxOutbox)
	if err != nil {
		return Owed{}, err
	}
	return decodeOutbox(data)
}
