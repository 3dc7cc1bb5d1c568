package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// HeldError means that another process records in this repository.
type HeldError struct{ Holder string }

func (e *HeldError) Error() string {
	return "this repository is recorded in by " + e.Holder
}

// A lock is the repository's writer lock: held as long as the file is open, so
// that it ends with its process. The file's content is for people.
type lock struct {
	file  *os.File
	clean bool // the last holder gave it back
}

// lockPath is the file of the writer lock.
func (s *Store) lockPath() string { return filepath.Join(s.folder(), "lock") }

// acquire takes the lock for who, or fails with a *HeldError.
func (s *Store) acquire(who string) (*lock, error) {
	path := s.lockPath()
	if err := s.repo.MakeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	file, err := s.repo.OpenShared(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, 1024))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	holder := strings.TrimSpace(string(content))
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		if holder == "" || deserted(holder) {
			holder = "another process" // which has not said yet who it is
		}
		return nil, errors.Join(&HeldError{Holder: holder}, file.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	l := &lock{file: file, clean: holder == ""}
	if err := l.note(fmt.Sprintf(holderFormat, who, os.Getpid())); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return l, nil
}

// recordedBy is who says that it has the lock, and is alive; "" if nobody does.
// It does not try the lock, which could keep a writer from it.
func (s *Store) recordedBy() (string, error) {
	content, err := os.ReadFile(s.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	holder := strings.TrimSpace(string(content[:min(len(content), 1024)]))
	if _, _, noted := strings.Cut(holder, " (pid "); !noted || deserted(holder) {
		return "", nil
	}
	return holder, nil
}

// holderFormat is how a holder notes itself: what it is, and its process id.
const holderFormat = "%s (pid %d)\n"

// deserted reports whether a note is of a process that died: its lock is somebody
// else's by now.
func deserted(holder string) bool {
	_, rest, _ := strings.Cut(holder, " (pid ")
	pid, err := strconv.Atoi(strings.TrimSuffix(rest, ")"))
	return err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// note replaces the content.
func (l *lock) note(text string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(text), 0)
	return err
}

// release gives the lock back: everything is in order.
func (l *lock) release() error {
	return errors.Join(l.note(""), l.abandon())
}

// abandon frees the lock and leaves it to the next holder to look for damage. To
// close the file is not enough: a child that another goroutine is just starting
// has it open, too, until it runs its program.
func (l *lock) abandon() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}

// nextEpoch counts the holders of the lock, who keep the count under it. Every
// commit names its writer's.
func (s *Store) nextEpoch() (int64, error) {
	path := filepath.Join(s.folder(), "epoch")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	epoch, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil || epoch < 0 {
		epoch = 0 // lost or damaged: people can tell writers apart by their times
	}
	epoch++
	return epoch, s.replaceFile(path, fmt.Appendln(nil, epoch))
}

// Hold takes the repository's lock for somebody who records no builds in it, or
// fails with a *HeldError. Who holds it must call release once.
func (s *Store) Hold(who string) (release func() error, err error) {
	l, err := s.acquire(who)
	if err != nil {
		return nil, err
	}
	return l.release, nil
}
