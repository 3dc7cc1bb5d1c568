package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// schedulesFile is the desk's list of schedules with the time up to which they
// were dealt with.
const schedulesFile = "schedules.json"

type schedulesRecord struct {
	Version   int          `json:"version"`
	Schedules []markRecord `json:"schedules"`
}

type markRecord struct {
	Pipeline string  `json:"pipeline"`
	Cron     string  `json:"cron"`
	Timezone string  `json:"timezone,omitempty"`
	Until    instant `json:"until"`
}

func encodeMarks(marks []build.Mark) ([]byte, error) {
	r := schedulesRecord{Version: recordVersion, Schedules: []markRecord{}}
	for _, m := range marks {
		r.Schedules = append(r.Schedules, markRecord{Pipeline: m.Pipeline, Cron: m.Cron, Timezone: m.Zone, Until: stored(m.Until)})
	}
	return encode(schedulesFile, r)
}

func decodeMarks(data []byte) ([]build.Mark, error) {
	var r schedulesRecord
	if err := decode(schedulesFile, data, &r); err != nil {
		return nil, err
	}
	var marks []build.Mark
	for _, m := range r.Schedules {
		marks = append(marks, build.Mark{Pipeline: m.Pipeline, Cron: m.Cron, Zone: m.Timezone, Until: m.Until.time()})
	}
	return marks, nil
}

// Marks are the schedules with the time up to which each was dealt with.
func (s *Store) Marks(context.Context) ([]build.Mark, error) {
	id, err := s.ID()
	if err != nil || id == "" {
		return nil, err
	}
	marks, err := s.marks(id)
	if err != nil {
		return nil, fmt.Errorf("read desk: %w", err)
	}
	return marks, nil
}

func (s *Store) marks(store string) ([]build.Mark, error) {
	desk, err := s.repo.Ref(storeRef(store, "desk"))
	if errors.Is(err, git.ErrRefNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := s.repo.ReadFile(desk, schedulesFile, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeMarks(data)
}
