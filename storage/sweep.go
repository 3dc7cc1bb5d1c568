package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tempAge is the age at which a temporary object file has no owner any more.
const tempAge = time.Hour

// useless tells what a death or a power cut leaves among the objects and nobody
// repairs: empty files, which git takes for the object and never writes again,
// and temporary files and parts of packs that nothing will finish. The code is ""
// for all else.
func useless(path string, entry fs.DirEntry, now time.Time) (code Code, problem string, err error) {
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	name, old := entry.Name(), now.Sub(info.ModTime()) > tempAge
	base, ext, _ := strings.Cut(name, ".")
	switch {
	case strings.HasPrefix(name, "tmp_"):
		if old {
			return StaleTemp, "a write that was never finished left it", nil
		}
	case len(filepath.Base(filepath.Dir(path))) == 2 && len(name) == 38:
		if info.Size() == 0 {
			return EmptyObject, "the object's file is empty, and git never writes it again while it is there", nil
		}
	case old && strings.HasPrefix(base, "pack-") && (ext == "idx" || ext == "keep"):
		_, err := os.Stat(filepath.Join(filepath.Dir(path), base+".pack"))
		if errors.Is(err, fs.ErrNotExist) {
			return IndexWithoutPack, "its pack is not there", nil
		}
	}
	return "", "", nil
}
