package blob

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"

	cloud "gocloud.dev/blob"
)

// A Disk is whose files those in a folder are: of the users of a repository.
type Disk interface {
	// MakeFolder makes a folder and those above it, for all of the users. They are
	// durable when it returns.
	MakeFolder(path string) error
	// Share gives a file that was made to all of the users.
	Share(path string) error
}

// A folder is where the blobs of one repository are if not in a bucket. It does
// what the driver leaves out: files are the users', on disk before their names
// show them, and their names are when a write returns.
type folder struct {
	path string
	disk Disk
	// fault, set by tests, is asked before every sync and may fail it.
	fault func(op, path string) error
}

// of is where the file of a key lies. Keys are made of letters that the driver
// leaves as they are.
func (f *folder) of(key string) string {
	return filepath.Join(f.path, filepath.FromSlash(path.Dir(key)))
}

func (f *folder) before(op, path string) error {
	if f.fault == nil {
		return nil
	}
	return f.fault(op, path)
}

func (f *folder) sync(file *os.File) error {
	if err := f.before("sync", file.Name()); err != nil {
		return err
	}
	return file.Sync()
}

// settle makes the name of a key durable.
func (f *folder) settle(key string) error {
	dir := f.of(key)
	if err := f.before("syncdir", dir); err != nil {
		return err
	}
	names, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(names.Sync(), names.Close())
}

// settled makes the name of a key durable that another may just have written.
func (s *Store) settled(key string) error {
	if s.folder == nil {
		return nil
	}
	return s.folder.settle(key)
}

// create makes or replaces what lies under a key with what fill writes: whole, and
// durable when it returns nil. A service says itself when that is.
func (s *Store) create(ctx context.Context, key string, o *cloud.WriterOptions, fill func(io.Writer) error) error {
	if s.folder == nil {
		return s.stream(ctx, key, o, fill)
	}
	if err := s.folder.disk.MakeFolder(s.folder.of(key)); err != nil {
		return err
	}
	var file *os.File
	o.BeforeWrite = func(as func(any) bool) error {
		if !as(&file) {
			return errors.New("the driver writes no file")
		}
		return s.folder.disk.Share(file.Name())
	}
	err := s.stream(ctx, key, o, func(w io.Writer) error {
		if err := fill(w); err != nil {
			return err
		}
		return s.folder.sync(file)
	})
	if err != nil {
		return err
	}
	return s.settled(key)
}

// stream shows what fill writes under a key, if all of it could be written.
func (s *Store) stream(ctx context.Context, key string, o *cloud.WriterOptions, fill func(io.Writer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.DisableContentTypeDetection = true // the driver is there from the first byte on
	w, err := s.bucket.NewWriter(ctx, key, o)
	if err != nil {
		return err
	}
	if err := fill(w); err != nil {
		cancel() // what was written by now is dropped by Close
		_ = w.Close()
		return err
	}
	return w.Close()
}
