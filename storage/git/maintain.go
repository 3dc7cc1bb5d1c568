package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// maintainLock lets one process at a time maintain a repository.
	maintainLock = "maintain.lock"
	// maintained is the file with the time of the last collection.
	maintained = "maintained"
	// manyPacks is what reading stands well.
	manyPacks = 32
	// collectEvery is how often what nothing reaches is looked for.
	collectEvery = 7 * 24 * time.Hour
)

// durable makes git sync what it writes, as it does not by itself.
const durable = "core.fsync=committed,loose-object,reference"

// Maintain keeps a repository fast and small that is Velocity's own, such as a
// mirror; users' repositories have Upkeep. At 32 packs the small ones are merged,
// and once a week git collects what nothing has reached for two weeks, git's own
// grace: a fetch or a checkout may go on meanwhile. now is the time of the day.
//
// It does nothing while another process does it. What fails is tried again by the
// next call; the repository is as good as before.
func (r *Repository) Maintain(ctx context.Context, now time.Time) error {
	unlock, err := r.flock(maintainLock, syscall.LOCK_EX)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("maintain: %w", err)
	}
	defer unlock()
	if err := r.mergePacks(ctx); err != nil {
		return fmt.Errorf("maintain: %w", err)
	}
	if err := r.collectWeekly(ctx, now); err != nil {
		return fmt.Errorf("maintain: %w", err)
	}
	return nil
}

// mergePacks merges the small packs. Nothing is dropped.
func (r *Repository) mergePacks(ctx context.Context) error {
	packs, err := packsIn(r.packFolder())
	if err != nil {
		return err
	}
	n := 0
	for _, pack := range packs {
		if _, err := os.Stat(pack + ".keep"); errors.Is(err, fs.ErrNotExist) {
			n++
		}
	}
	if n < manyPacks {
		return nil
	}
	_, err = r.run(ctx, command{options: []string{durable}, args: []string{"repack", "--geometric=2", "-d", "--quiet"}})
	return err
}

// collectWeekly runs git's collection. The first call only begins the week: there
// is nothing yet that could be old enough.
func (r *Repository) collectWeekly(ctx context.Context, now time.Time) error {
	path := filepath.Join(r.commonDir, ownFolder, maintained)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	begun := err == nil
	// A time that makes no sense, or is yet to come, says nothing about the last one.
	last, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if since := now.Sub(last); begun && err == nil && since >= 0 && since < collectEvery {
		return nil
	}
	if begun {
		if _, err := r.run(ctx, command{options: []string{durable}, args: []string{"gc", "--quiet"}}); err != nil {
			return err
		}
	}
	return r.disk.replace(path, []byte(now.UTC().Format(time.RFC3339)+"\n"))
}
