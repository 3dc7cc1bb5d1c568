package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// LogFrom reads at most limit bytes of the log of an attempt that ended, from an
// offset on: none behind its end. It reads no more of a long log than the parts
// that hold them. It fails with ErrNoLog.
func (s *Store) LogFrom(_ context.Context, id build.ID, task string, attempt int, offset, limit int64) ([]byte, error) {
	if _, _, err := plan.ParseKey(task); err != nil {
		return nil, err
	}
	folder, err := s.locateLogs(id)
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", id, err)
	}
	text, err := s.ranged(folder, logName(task, attempt), offset, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s, task %s, attempt %d: %w", id, task, attempt, ErrNoLog)
	}
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", id, err)
	}
	return text, nil
}
