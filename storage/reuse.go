package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
)

// reuseWithin bounds how far back a success is looked for, in builds. What was
// not built for that long is built again.
const reuseWithin = 1000

// successes remembers which task succeeded under a key, the newest one. It only
// says where to look: what it names is read again before anybody relies on it.
type successes struct {
	mu    sync.Mutex
	read  int64 // all builds of the own store up to this number have been looked at
	tasks map[string]build.Origin
}

// Reusable finds a task that succeeded under each of the keys, as far as there is
// one, in the newest builds of the own store that others can rely on. Those that
// cannot be read do not count.
func (s *Store) Reusable(ctx context.Context, keys []string) (map[string]build.Success, error) {
	own, err := s.ID()
	if err != nil || own == "" || len(keys) == 0 {
		return nil, err
	}
	s.successes.mu.Lock()
	defer s.successes.mu.Unlock()
	if err := s.remember(ctx, own); err != nil {
		return nil, fmt.Errorf("look for earlier successes: %w", err)
	}
	found := map[string]build.Success{}
	for _, key := range keys {
		if success, ok := s.reusable(key); ok {
			found[key] = success
		}
	}
	return found, nil
}

// remember looks at the builds that came since the last time. A build that is not
// over is looked at again the next time, with all that came after it.
func (s *Store) remember(ctx context.Context, own string) error {
	known := &s.successes
	if known.tasks == nil {
		known.tasks = map[string]build.Origin{}
	}
	newest, first, seen := map[string]build.Origin{}, known.read, 0
	done := int64(0) // the highest number below which all are over
	for at, err := range s.newest(ctx, own, s.search(Query{})) {
		if err != nil {
			return err
		}
		if at.id.Number <= first || seen == reuseWithin {
			break
		}
		seen++
		done = max(done, at.id.Number)
		b, err := s.build(at.id, at.tree)
		if err != nil {
			continue
		}
		if !b.State().Final() {
			done = at.id.Number - 1
		}
		note(newest, b)
	}
	for key, origin := range newest {
		known.tasks[key] = origin
	}
	known.read = max(first, done)
	return context.Cause(ctx)
}

// note adds the successes of a build for which none of a newer one is known.
func note(newest map[string]build.Origin, b *build.Build) {
	if !b.Reliable() {
		return
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			if _, ok := b.Success(t); !ok || t.ReuseKey == "" {
				continue
			}
			if _, newer := newest[t.ReuseKey]; !newer {
				newest[t.ReuseKey] = build.Origin{Build: b.ID, Task: t.Key}
			}
		}
	}
}

// reusable reads the task that is remembered for a key. It may be gone: deleted
// by retention, or purged.
func (s *Store) reusable(key string) (success build.Success, ok bool) {
	origin, ok := s.successes.tasks[key]
	if !ok {
		return success, false
	}
	tree, err := s.locate(origin.Build)
	if err != nil {
		if errors.Is(err, ErrNoBuild) {
			delete(s.successes.tasks, key)
		}
		return success, false
	}
	b, err := s.build(origin.Build, tree)
	if err != nil {
		return success, false
	}
	t, there := b.Task(origin.Task)
	if !there || t.ReuseKey != key {
		return success, false
	}
	return b.Success(t)
}
