package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// maxTrigger is above all that Accept takes.
const maxTrigger = 1 << 20

// Accept takes triggers in. It needs no lock, returns nil only once all of them
// would survive a power cut, and takes all or none. A trigger whose id is in the
// inbox already is taken.
func (s *Store) Accept(ctx context.Context, triggers []plan.Trigger) error {
	if len(triggers) == 0 {
		return nil
	}
	store, _, err := s.ensureID()
	if err != nil {
		return fmt.Errorf("accept trigger: %w", err)
	}
	for {
		err := s.accept(ctx, store, triggers)
		if !errors.Is(err, git.ErrRefMoved) {
			if err != nil {
				err = fmt.Errorf("accept trigger: %w", err)
			}
			return err
		} // another process took one of them in meanwhile: it is there now
	}
}

func (s *Store) accept(ctx context.Context, store string, triggers []plan.Trigger) error {
	batch := s.repo.NewBatch()
	var updates []git.RefUpdate
	seen := map[string]bool{}
	for _, t := range triggers {
		if !validTriggerID(t.ID) {
			return fmt.Errorf("trigger id %.80q is not one that NewTriggerID makes", t.ID)
		}
		data, err := encodeTrigger(t)
		if err != nil {
			return err
		}
		if len(data) > maxTrigger {
			return fmt.Errorf("trigger %s has %d bytes, at most %d are taken", t.ID, len(data), maxTrigger)
		}
		name := inboxRef(store, t.ID)
		_, err = s.repo.Ref(name)
		switch {
		case seen[t.ID], err == nil:
			continue
		case !errors.Is(err, git.ErrRefNotFound):
			return err
		}
		seen[t.ID] = true
		updates = append(updates, git.RefUpdate{Name: name, New: batch.Blob(data)})
	}
	if len(updates) == 0 {
		return nil
	}
	return s.repo.Write(ctx, batch, updates)
}

func inboxRef(store, id string) string { return storeRef(store, "inbox/"+id) }

// A Poison is an inbox record that cannot be read.
type Poison struct {
	Trigger string // its id
	Err     error  // a *VersionError if a newer program wrote it

	ref git.Ref
}

// Pending lists the triggers in the inbox in the order of their ids, and apart
// from them those that cannot be read.
func (s *Store) Pending(context.Context) ([]plan.Trigger, []Poison, error) {
	store, err := s.ID()
	if err != nil || store == "" {
		return nil, nil, err
	}
	return s.pending(store)
}

func (s *Store) pending(store string) ([]plan.Trigger, []Poison, error) {
	refs, broken, err := s.repo.Refs(inboxRef(store, ""))
	if err != nil {
		return nil, nil, fmt.Errorf("read inbox: %w", err)
	}
	var triggers []plan.Trigger
	var poison []Poison
	for _, ref := range refs {
		t, err := s.trigger(ref)
		switch {
		case err == nil:
			triggers = append(triggers, t)
		case !errors.Is(err, git.ErrRefNotFound):
			poison = append(poison, Poison{Trigger: lastOf(ref.Name), Err: err, ref: ref})
		}
	}
	for i := range broken {
		poison = append(poison, Poison{Trigger: lastOf(broken[i].Name), Err: &broken[i]})
	}
	return triggers, poison, nil
}

// trigger reads an inbox record. One that was settled and dropped since it was
// listed gives git.ErrRefNotFound.
func (s *Store) trigger(ref git.Ref) (plan.Trigger, error) {
	data, err := s.repo.ReadBlob(ref.Hash, maxTrigger)
	if err != nil {
		if _, gone := s.repo.Ref(ref.Name); gone != nil {
			return plan.Trigger{}, gone
		}
		return plan.Trigger{}, err
	}
	return decodeTrigger(lastOf(ref.Name), data)
}

// Pending lists the triggers in the inbox in the order of their ids. Records that
// cannot be read are quarantined, which Tell tells, so that they block no others;
// those of a newer program stay where they are for it.
func (l *Ledger) Pending(ctx context.Context) ([]plan.Trigger, error) {
	triggers, poison, err := l.Store.Pending(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range poison {
		if p.ref.Hash.IsZero() || !damage(p.Err) {
			continue
		}
		did, err := l.putAway(ctx, p.ref, p.Trigger, p.Err)
		if errors.Is(err, git.ErrRefMoved) {
			continue // another call was faster
		}
		if err != nil {
			return triggers, fmt.Errorf("quarantine trigger %s: %w", p.Trigger, err)
		}
		l.report(did)
	}
	return triggers, nil
}
