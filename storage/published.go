package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// Bounds that spare a remote, across all processes that publish to it from here.
const (
	pushesPerWindow = 6
	pushWindow      = time.Minute
)

// publishPace is how often a lock is tried that another publish holds.
const publishPace = 50 * time.Millisecond

// A published file remembers what was sent to one remote. It is no ref, so that
// logs which were dropped here do not live on for it. Losing it loses no build:
// logs at the remote are then not replaced any more.
type published struct {
	Version int                 `json:"version"`
	Sent    map[string][]string `json:"sent,omitempty"`   // by ref there: the values it may have from us
	Pushes  []time.Time         `json:"pushes,omitempty"` // that began within the last window

	s     *Store
	path  string
	lock  *os.File
	saved []byte // what the file holds
}

const publishedVersion = 1

// openPublished reads the file of a remote and keeps others out until close.
func (s *Store) openPublished(ctx context.Context, remote string, sleep func(context.Context, time.Duration) error) (*published, error) {
	path := filepath.Join(s.folder(), "publish", remote)
	if err := s.repo.MakeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = sleep(ctx, publishPace)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", lock.Name(), err), lock.Close())
		}
		break
	}
	p := &published{s: s, path: path + ".json", lock: lock}
	if err := p.read(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *published) read() error {
	data, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return p.decode([]byte("{}"))
	}
	if err != nil {
		return err
	}
	p.saved = data
	if err := p.decode(data); err != nil {
		return fmt.Errorf("%s cannot be read: %w; remove it if nothing else helps: logs at the remote are then left as they are", p.path, err)
	}
	return nil
}

func (p *published) decode(data []byte) error {
	if err := json.Unmarshal(data, p); err != nil {
		return err
	}
	if p.Version > publishedVersion {
		return fmt.Errorf("it is of version %d, this program reads %d", p.Version, publishedVersion)
	}
	if p.Version = publishedVersion; p.Sent == nil {
		p.Sent = map[string][]string{}
	}
	return nil
}

// save writes the file if it would change.
func (p *published) save() error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if data = append(data, '\n'); bytes.Equal(data, p.saved) {
		return nil
	}
	p.saved = data
	return p.s.replaceFile(p.path, data)
}

func (p *published) close() error {
	return errors.Join(syscall.Flock(int(p.lock.Fd()), syscall.LOCK_UN), p.lock.Close())
}

// sent reports whether a ref's value came from here.
func (p *published) sent(ref string, h git.Hash) bool {
	return slices.Contains(p.Sent[ref], h.String())
}

// remember notes that a ref is about to get a value. What it has now stays in the
// list, if it came from here: nobody knows yet whether the push arrives.
func (p *published) remember(ref string, now, next git.Hash) {
	values := []string{next.String()}
	if p.sent(ref, now) && now != next {
		values = append(values, now.String())
	}
	p.Sent[ref] = values
}

// wait is how long to wait before the next push, and forgets pushes that do not
// count any more.
func (p *published) wait(now time.Time) time.Duration {
	p.Pushes = slices.DeleteFunc(p.Pushes, func(at time.Time) bool {
		return now.Sub(at) >= pushWindow || at.After(now) // a clock that was set back must not stop us
	})
	if len(p.Pushes) < pushesPerWindow {
		return 0
	}
	slices.SortFunc(p.Pushes, time.Time.Compare)
	return p.Pushes[len(p.Pushes)-pushesPerWindow].Add(pushWindow).Sub(now)
}
