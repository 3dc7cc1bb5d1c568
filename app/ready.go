package app

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/app/web"
)

// leastRoom is the free space, in bytes, below which no builds are taken in: a few
// changes still fit, so that what runs can end.
const leastRoom = 32 << 20

// ready is what has to be in order for builds to be taken in.
func (s *service) ready() []web.Condition {
	return []web.Condition{
		{Name: "intake", Err: s.takesIn()},
		{Name: "store", Err: s.storesWritable()},
		{Name: "lock", Err: s.locksHeld()},
		{Name: "nats", Err: s.wired()},
	}
}

func (s *service) takesIn() error {
	if !s.taking.Load() {
		return errors.New("the server is starting or ending")
	}
	return nil
}

// storesWritable looks for room and for the right to write where builds are recorded.
func (s *service) storesWritable() error {
	folders := []string{s.front.state}
	for _, h := range s.houses.list() {
		folders = append(folders, h.folder)
	}
	for _, folder := range folders {
		if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("write in %s: %w", folder, err)
		}
		left, err := roomOf(folder)
		if err != nil {
			return err
		}
		if left.bytes < leastRoom || left.files == 0 {
			return fmt.Errorf("%s is full: %d MiB and %d files are left", folder, left.bytes>>20, left.files)
		}
	}
	return nil
}

// locksHeld finds locks that others removed: a second server could start then.
func (s *service) locksHeld() error {
	for _, h := range s.houses.list() {
		if err := h.ledger.Held(); err != nil {
			return fmt.Errorf("%s: %w", h.site.Called(), err)
		}
	}
	return nil
}

func (s *service) wired() error {
	if s.nats != nil && !s.nats.Running() {
		return errors.New("the embedded NATS server has ended")
	}
	if s.cluster != nil && !s.cluster.conn.IsConnected() {
		return errors.New("the NATS cluster is not connected")
	}
	return nil
}

// room is what a file system has left for this user.
type room struct {
	bytes, of int64
	files     uint64 // that can be made; many where the file system does not count
}

// roomOf asks the file system that a folder is on.
func roomOf(folder string) (room, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return room{}, fmt.Errorf("ask for free space in %s: %w", folder, err)
	}
	left := room{bytes: int64(s.Bavail) * int64(s.Bsize), of: int64(s.Blocks) * int64(s.Bsize), files: s.Ffree} //nolint:unconvert // other systems have other types here
	if s.Files == 0 {                                                                                           // btrfs and others make inodes as needed
		left.files = uncounted
	}
	return left, nil
}

// uncounted stands for as many files as one likes.
const uncounted = 1 << 62
