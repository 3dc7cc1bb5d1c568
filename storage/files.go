package storage

import (
	"errors"
	"os"
	"path/filepath"
)

// createFile makes a file with content, whole and durable, or fails with
// fs.ErrExist: of two that race, one wins and neither is seen half written.
func (s *Store) createFile(path string, content []byte) error {
	return s.putFile(path, content, os.Link)
}

// replaceFile gives a file new content, whole and durable.
func (s *Store) replaceFile(path string, content []byte) error {
	return s.putFile(path, content, os.Rename)
}

// putFile writes a temporary file and gives it its name by place.
func (s *Store) putFile(path string, content []byte, place func(from, to string) error) error {
	folder := filepath.Dir(path)
	if err := s.repo.MakeFolder(folder); err != nil {
		return err
	}
	temp, err := os.CreateTemp(folder, "temp-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // gone already if it was renamed
	_, err = temp.Write(content)
	if err := errors.Join(err, temp.Chmod(0o644), s.repo.Share(temp.Name()), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := place(temp.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
