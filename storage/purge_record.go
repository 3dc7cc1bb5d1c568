package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// purgedFile is the desk's list of builds that were purged, so that no copy of
// them comes back.
const purgedFile = "purged.json"

type purgedRecord struct {
	Version int                `json:"version"`
	Purged  map[string]instant `json:"purged"`
}

func encodePurged(purged map[build.ID]time.Time) ([]byte, error) {
	r := purgedRecord{Version: recordVersion, Purged: map[string]instant{}}
	for id, at := range purged {
		r.Purged[id.String()] = stored(at)
	}
	return encode(purgedFile, r)
}

func decodePurged(data []byte) (map[build.ID]time.Time, error) {
	var r purgedRecord
	if err := decode(purgedFile, data, &r); err != nil {
		return nil, err
	}
	purged := map[build.ID]time.Time{}
	for text, at := range r.Purged {
		id, err := build.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", purgedFile, err)
		}
		purged[id] = at.time()
	}
	return purged, nil
}

// purged is when which builds were purged, by the desk of a store; never nil.
func (s *Store) purged(store string) (map[build.ID]time.Time, error) {
	desk, err := s.repo.Ref(storeRef(store, "desk"))
	if errors.Is(err, git.ErrRefNotFound) {
		return map[build.ID]time.Time{}, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := s.repo.ReadFile(desk, purgedFile, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return map[build.ID]time.Time{}, nil
	}
	if err != nil {
		return nil, err
	}
	return decodePurged(data)
}

// rememberPurged adds a desk that lists id, beside what is on it, and lacks what
// forges were told of it and plugins are to be.
func (l *Ledger) rememberPurged(objects *git.Batch, purged map[build.ID]time.Time, id build.ID) (git.Hash, error) {
	purged = maps.Clone(purged)
	purged[id] = l.now()
	data, err := encodePurged(purged)
	if err != nil {
		return git.Zero, err
	}
	reports, err := l.reportsOf(id)
	if err != nil {
		return git.Zero, err
	}
	owed, err := l.dropOwed(outboxPath(id))
	if err != nil {
		return git.Zero, err
	}
	edits := append(append(dropAll(reports), owed...), git.TreeEdit{Path: purgedFile, Mode: git.ModeFile, Hash: objects.Blob(data)})
	return l.editDesk(objects, l.desk, edits, fmt.Sprintf("build %s was purged", id))
}
