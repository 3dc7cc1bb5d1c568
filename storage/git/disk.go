package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// disk makes changes that survive a power cut: content is on disk before the
// name that shows it, and a name is durable once its folder is synced.
type disk struct {
	// shared says who else may use what is made.
	shared sharing
	// fault, set by tests, is asked before every operation and may fail it.
	fault func(op, path string) error
}

func (d disk) before(op, path string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(op, path)
}

// folder makes dir and its parents; new ones are durable when it returns.
func (d disk) folder(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := d.folder(parent); err != nil {
			return err
		}
	}
	if err := d.before("mkdir", dir); err != nil {
		return err
	}
	switch err := os.Mkdir(dir, 0o777); {
	case errors.Is(err, fs.ErrExist): // its maker sees to it
	case err != nil:
		return err
	default:
		if err := d.shared.apply(dir); err != nil {
			return err
		}
	}
	return d.syncFolder(parent)
}

// create makes a file that must not exist yet, open for writing.
func (d disk) create(path string, perm fs.FileMode) (*os.File, error) {
	if err := d.before("create", path); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	if err := d.shared.apply(path); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return file, nil
}

// finish writes content, syncs and closes file. The name is the caller's to sync.
func (d disk) finish(file *os.File, content []byte) error {
	err := d.before("write", file.Name())
	if err == nil {
		_, err = file.Write(content)
	}
	if err == nil {
		err = d.sync(file)
	}
	return errors.Join(err, file.Close())
}

// write makes a new file with content.
func (d disk) write(path string, content []byte, perm fs.FileMode) error {
	file, err := d.create(path, perm)
	if err != nil {
		return err
	}
	return d.finish(file, content)
}

func (d disk) sync(file *os.File) error {
	if err := d.before("sync", file.Name()); err != nil {
		return err
	}
	return file.Sync()
}

// syncPath syncs a file that another process wrote.
func (d disk) syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.sync(file), file.Close())
}

// syncFolder makes the names in dir durable.
func (d disk) syncFolder(dir string) error {
	if err := d.before("syncdir", dir); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func (d disk) rename(from, to string) error {
	if err := d.before("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// remove deletes a file; that it is gone already is no error.
func (d disk) remove(path string) error {
	if err := d.before("remove", path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// replace gives the file at path new content, seen whole or not at all, and is
// durable when it returns. Only one process may do so at a time.
func (d disk) replace(path string, content []byte) error {
	temp := path + ".velocity"             // not .new, which git uses and never cleans up
	if err := d.remove(temp); err != nil { // left by one that died
		return err
	}
	if err := d.write(temp, content, 0o666); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", temp, err), os.Remove(temp))
	}
	if err := d.rename(temp, path); err != nil {
		return err
	}
	return d.syncFolder(filepath.Dir(path))
}
