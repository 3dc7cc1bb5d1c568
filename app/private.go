package app

import (
	"errors"
	"os"
	"path/filepath"
)

// keepPrivate puts a file at path that nobody else may read, whole and durable.
// place is os.Rename to replace what is there, or os.Link, which then fails with
// fs.ErrExist. The folder must be there.
func keepPrivate(path string, content []byte, place func(from, to string) error) error {
	folder := filepath.Dir(path)
	temp, err := os.CreateTemp(folder, "temp-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // gone already if it was renamed
	_, err = temp.Write(content)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := place(temp.Name(), path); err != nil {
		return err
	}
	return syncNames(folder)
}

// syncNames makes the names of the files in a folder durable.
func syncNames(folder string) error {
	names, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(names.Sync(), names.Close())
}
