package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

const (
	// closedPulls is the file, among those of ours in a mirror, that says since when
	// pull requests of which it has the head are known to be closed.
	closedPulls = "closed-pulls.json"
	// keepClosed is how long such a head stays: who opens a pull request again, or
	// has an old build of it built again, mostly does so within days.
	keepClosed = 14 * 24 * time.Hour
)

// Tidy is told which pull requests are open. It removes the heads of those that
// have not been for two weeks, as far as Tidy was told of it.
func (m *mirror) Tidy(ctx context.Context, open []int64) error {
	m.tidying.Lock()
	defer m.tidying.Unlock()
	repo, err := git.Open(ctx, m.dir)
	if err != nil {
		return fmt.Errorf("tidy the mirror %s: %w", m.key, err)
	}
	heads, err := m.heads(repo)
	if err != nil {
		return fmt.Errorf("tidy the mirror %s: %w", m.key, err)
	}
	path := filepath.Join(folderOf(repo), closedPulls)
	before, err := readClosed(path)
	if err != nil {
		return fmt.Errorf("tidy the mirror %s: %w", m.key, err)
	}
	now := m.of.now()
	closed := map[int64]time.Time{}
	var gone []git.RefUpdate
	for n, ref := range heads {
		since, known := before[n]
		switch {
		case slices.Contains(open, n):
		case known && now.Sub(since) >= keepClosed:
			gone = append(gone, git.RefUpdate{Name: ref.Name, Old: ref.Hash})
		case known:
			closed[n] = since
		default:
			closed[n] = now
		}
	}
	if len(gone) > 0 {
		if err := repo.Write(ctx, nil, gone); err != nil {
			return fmt.Errorf("remove heads of closed pull requests from the mirror %s: %w", m.key, err)
		}
	}
	if maps.EqualFunc(before, closed, time.Time.Equal) {
		return nil
	}
	return writeClosed(repo, path, closed)
}

// heads are the heads of pull requests that the mirror has, by their number.
func (m *mirror) heads(repo *git.Repository) (map[int64]git.Ref, error) {
	prefix, _, _ := strings.Cut(m.key.Kind.Ref(0), "0")
	refs, _, err := repo.Refs(prefix)
	if err != nil {
		return nil, err
	}
	heads := map[int64]git.Ref{}
	for _, ref := range refs {
		number, _, _ := strings.Cut(strings.TrimPrefix(ref.Name, prefix), "/")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && ref.Name == m.key.Kind.Ref(n) {
			heads[n] = ref
		}
	}
	return heads, nil
}

// readClosed reads since when pull requests are closed. A file that says nothing of
// use is as good as none: the two weeks begin again.
func readClosed(path string) (map[int64]time.Time, error) {
	closed := map[int64]time.Time{}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return closed, nil
	}
	if err == nil && json.Unmarshal(text, &closed) != nil {
		clear(closed)
	}
	return closed, err
}

func writeClosed(repo *git.Repository, path string, closed map[int64]time.Time) error {
	text, err := json.Marshal(closed)
	if err == nil {
		err = repo.MakeFolder(filepath.Dir(path))
	}
	if err == nil {
		err = keepPrivate(path, append(text, '\n'), os.Rename)
	}
	if err != nil {
		return fmt.Errorf("note which pull requests are closed: %w", err)
	}
	return nil
}
