package app

import (
	"errors"
	"fmt"
	"os"
	"path"
)

// A newFile is a file to be written.
type newFile struct{ path, text string }

// create writes files that must not exist yet, below a folder that they cannot
// leave. If one cannot be written, none is left behind.
func create(root *os.Root, files []newFile) (err error) {
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, name := range made {
			err = errors.Join(err, root.Remove(name))
		}
	}()
	for _, f := range files {
		if err := root.MkdirAll(path.Dir(f.path), 0o777); err != nil {
			return fmt.Errorf("create folder: %w", err)
		}
		file, err := root.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return fmt.Errorf("create file: %w", err)
		}
		made = append(made, f.path)
		_, err = file.WriteString(f.text)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	return nil
}
