package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// LogFrom reads at most limit bytes of the log of an attempt that ended, from an
// offset on: none behind its end. It reads no more of a long log than the parts
// that hold them. It fails with ErrNoLog.
func (s *Store) LogFrom(_ context.Context, id build.ID, task string, attempt int, offset, limit int64) ([]byte, error) {
	return s.readLog(id, task, attempt, func(folder git.Hash) ([]byte, error) {
		return s.ranged(folder, logName(task, attempt), offset, limit)
	})
}

// LogTimes reads the times of the lines of such a log as the builder gave them, nil
// if it gave none, or fails with ErrNoLog if there is no log at all.
func (s *Store) LogTimes(_ context.Context, id build.ID, task string, attempt int) ([]byte, error) {
	return s.readLog(id, task, attempt, func(folder git.Hash) ([]byte, error) {
		times, err := s.joined(folder, timesName(task, attempt))
		if errors.Is(err, fs.ErrNotExist) {
			_, err = s.parts(folder, logName(task, attempt))
		}
		return times, err
	})
}

// readLog reads something of the log of an attempt from the folder that has it.
func (s *Store) readLog(id build.ID, task string, attempt int, read func(folder git.Hash) ([]byte, error)) ([]byte, error) {
	if _, _, err := plan.ParseKey(task); err != nil {
		return nil, err
	}
	folder, err := s.locateLogs(id)
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", id, err)
	}
	data, err := read(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s, task %s, attempt %d: %w", id, task, attempt, ErrNoLog)
	}
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", id, err)
	}
	return data, nil
}

// ranged reads at most limit bytes of a file from an offset on, from the parts that
// hold them, or fails with fs.ErrNotExist.
func (s *Store) ranged(folder git.Hash, name string, offset, limit int64) ([]byte, error) {
	l, err := s.seams(folder, name)
	if err != nil {
		return nil, err
	}
	first, begins := slices.BinarySearch(l.ends, offset)
	if begins {
		first++ // where one part ends, the next begins
	}
	var content []byte
	for i := first; i < len(l.parts) && int64(len(content)) < limit; i++ {
		part, err := s.repo.ReadBlob(l.parts[i].Hash, maxLog)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.parts[i].Name, err)
		}
		part = part[offset-(l.ends[i]-int64(len(part))):]
		part = part[:min(int64(len(part)), limit-int64(len(content)))]
		content, offset = append(content, part...), l.ends[i]
	}
	return content, nil
}

// seams are where the parts of a file end, counted from its beginning in bytes.
type seams struct {
	parts []git.TreeEntry
	ends  []int64
}

// seamsRead remembers those of logs that are read: to find them out again takes a look
// at each part of a log before the place that is read, again and again for whoever
// reads all of it. Folders are named by their content, so what is remembered stays
// true. The zero value is ready; it is safe for concurrent use.
type seamsRead struct {
	mu    sync.Mutex
	known map[string]seams
}

// maxSeams bounds them: one of a log of 100 MB takes some 10 kB. When there are
// more, all are forgotten.
const maxSeams = 256

// seams finds those of a file, or fails with fs.ErrNotExist.
func (s *Store) seams(folder git.Hash, name string) (seams, error) {
	key := folder.String() + "/" + name
	s.seamsRead.mu.Lock()
	l, ok := s.seamsRead.known[key]
	s.seamsRead.mu.Unlock()
	if ok {
		return l, nil
	}
	parts, err := s.parts(folder, name)
	if err != nil {
		return seams{}, err
	}
	l.parts = parts
	end := int64(0)
	for _, e := range parts {
		size, err := s.repo.BlobSize(e.Hash)
		if err != nil {
			return seams{}, fmt.Errorf("%s: %w", e.Name, err)
		}
		end += size
		l.ends = append(l.ends, end)
	}
	s.seamsRead.mu.Lock()
	defer s.seamsRead.mu.Unlock()
	if s.seamsRead.known == nil || len(s.seamsRead.known) >= maxSeams {
		s.seamsRead.known = map[string]seams{}
	}
	s.seamsRead.known[key] = l
	return l, nil
}
