package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/velocity-ci/velocity/storage/git"
)

// Waiting lists the keys of what waits, in the order of arrival. It costs what has
// changed since the last call.
func (b *Inbox) Waiting(context.Context) ([]string, error) {
	var keys []string
	err := b.view(func(s *sheet) error {
		keys = nil
		if s.tree.IsZero() {
			return nil
		}
		top, err := s.repo.Entry(s.tree, waitingFolder)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			keys, err = b.walk.keys(s.repo, top.Hash)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries that wait: %w", err)
	}
	return slices.Clone(keys), nil
}

// A memory knows the keys in the folders that its last walk met.
type memory struct {
	mu    sync.Mutex
	known map[git.Hash][]string
}

func (m *memory) keys(repo *git.Repository, top git.Hash) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	met := map[git.Hash][]string{}
	keys, err := m.below(repo, top, met)
	if err == nil {
		m.known = met
	}
	return keys, err
}

// below lists the keys in a folder whose content never changes, as its name is that
// of its content.
func (m *memory) below(repo *git.Repository, folder git.Hash, met map[git.Hash][]string) ([]string, error) {
	keys, known := m.known[folder]
	if known {
		met[folder] = keys
		return keys, nil
	}
	entries, err := repo.List(folder, "")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Mode == git.ModeTree {
			within, err := m.below(repo, e.Hash, met)
			if err != nil {
				return nil, err
			}
			keys = append(keys, within...)
		} else if base, ok := strings.CutSuffix(e.Name, recordEnd); ok && keyIn(base) != "" {
			keys = append(keys, keyIn(base))
		}
	}
	met[folder] = keys
	return keys, nil
}

// Read reads a delivery that waits, or that was worked off within KeepBodies. One
// that waits and cannot be read is put away by this call, so that it is in nobody's
// way. Errors: ErrNone; *VersionError for one that a newer program wrote.
func (b *Inbox) Read(ctx context.Context, key string) (Delivery, error) {
	var d Delivery
	err := b.view(func(s *sheet) (err error) {
		d, err = s.delivery(key)
		return err
	})
	var unreadable *recordError
	if errors.As(err, &unreadable) {
		err = errors.Join(err, b.Failed(ctx, key, unreadable.Error()))
	}
	if err != nil {
		return Delivery{}, fmt.Errorf("read delivery %.120s: %w", key, err)
	}
	return d, nil
}

func (s *sheet) delivery(key string) (d Delivery, err error) {
	p, err := s.find(key)
	if err != nil {
		return d, err
	}
	var e Entry
	body := p.body()
	if p.base != "" {
		e, err = s.entry(p, key)
	} else {
		body = bodyPath(p.slot, key)
		e, err = s.ended(p.slot, key)
	}
	if err != nil {
		return d, err
	}
	d = Delivery{Forge: e.Forge, Key: key, Event: e.Event, Received: e.Received}
	d.Body, err = s.read(body, MaxBody)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.base == "":
		err = ErrNone
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, git.ErrTooLarge), errors.Is(err, git.ErrObjectNotFound):
		err = &recordError{err}
	}
	return d, err
}

// List lists the newest deliveries and refusals that want says yes to, at most n,
// the newest first. A delivery that was put away and came again is there twice.
func (b *Inbox) List(ctx context.Context, n int, want func(Entry) bool) ([]Entry, error) {
	var found []Entry
	err := b.view(func(s *sheet) error {
		found = nil
		return s.newest("", len(strings.Split(slotForm, "/")), func(slot string) (more bool, err error) {
			all, err := s.slot(slot)
			for _, e := range slices.Backward(all) {
				if len(found) < n && want(e) {
					found = append(found, e)
				}
			}
			return len(found) < n, errors.Join(err, context.Cause(ctx))
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return found, nil
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

// newest visits the slots below a folder of so many levels, the newest first, until
// visit wants no more.
func (s *sheet) newest(folder string, levels int, visit func(slot string) (bool, error)) error {
	err := s.descend(folder, levels, visit)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (s *sheet) descend(folder string, levels int, visit func(slot string) (bool, error)) error {
	if levels == 0 {
		more, err := visit(strings.TrimPrefix(folder, "/"))
		if err == nil && !more {
			err = errEnough
		}
		return err
	}
	var names []string
	for _, top := range []string{waitingFolder, logFolder} {
		within, err := s.list(top + folder)
		if err != nil {
			return err
		}
		for name := range within {
			names = append(names, strings.TrimSuffix(name, logEnd))
		}
	}
	slices.Sort(names)
	for _, name := range slices.Backward(slices.Compact(names)) {
		if err := s.descend(folder+"/"+name, levels-1, visit); err != nil {
			return err
		}
	}
	return nil
}

// slot is everything of a slot, the oldest first. A record of those that wait that
// cannot be read is left out until it is put away.
func (s *sheet) slot(slot string) ([]Entry, error) {
	all, err := s.log(slot)
	if err != nil {
		return nil, err
	}
	names, err := s.list(waitingPath(slot))
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		base, ok := strings.CutSuffix(name, recordEnd)
		if !ok {
			continue
		}
		e, err := s.entry(place{slot, base}, keyIn(base))
		if errors.Is(err, git.ErrObjectNotFound) && s.moved() {
			return nil, err
		}
		if err == nil {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(x, y Entry) int { return x.Received.Compare(y.Received) })
	return all, nil
}
