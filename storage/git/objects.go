package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// object is one decoded object. Its content is shared: nobody may change it.
type object struct {
	kind    plumbing.ObjectType
	content []byte
}

// objectStore reads loose and packed objects of one repository and of those it
// borrows from. It keeps no file open and lists packs again whenever an object
// is missing, since git may repack under a reader at any time. It is safe for
// concurrent use.
type objectStore struct {
	folder string // the repository's own objects folder
	sleep  func(time.Duration)
	memo   memo
	// mend gives packs that lost their index one again, and reports whether there
	// were any. It may be nil.
	mend func() bool

	mu         sync.RWMutex
	folders    []string // own first, then alternates; nil until first listed
	packs      []*pack  // newest first
	generation int      // counts the changes of packs
}

func newObjectStore(folder string, sleep func(time.Duration)) *objectStore {
	return &objectStore{folder: folder, sleep: sleep, memo: memo{limit: memoLimit}}
}

// A reader that lost a race with a repack may lose the next one too: six tries,
// with pauses from 3 to 100 ms, outlasted every repack that was measured.
const readTries = 6

func pause(try int) time.Duration {
	return min(3*time.Millisecond<<try, 100*time.Millisecond)
}

// get returns the object h, or ErrObjectNotFound once it is certain.
func (s *objectStore) get(h Hash) (object, error) {
	if o, ok := s.memo.get(memoKey{hash: h}); ok {
		return o, nil
	}
	var o object
	err := s.find(h, func(e entry) (err error) {
		o, err = e.read(s)
		return err
	})
	if err != nil {
		return object{}, fmt.Errorf("read object %s: %w", h, err)
	}
	s.memo.put(memoKey{hash: h}, o)
	return o, nil
}

// size returns the length of an object's content without decoding all of it.
func (s *objectStore) size(h Hash) (int64, error) {
	var n int64
	err := s.find(h, func(e entry) (err error) {
		n, err = e.size()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read size of object %s: %w", h, err)
	}
	return n, nil
}

// has reports whether h exists.
func (s *objectStore) has(h Hash) (bool, error) {
	err := s.find(h, func(entry) error { return nil })
	if errors.Is(err, ErrObjectNotFound) {
		return false, nil
	}
	return err == nil, err
}

// find locates h and hands it to use, again from a new list of packs when either
// fails. An object is certainly missing if the list did not change meanwhile.
func (s *objectStore) find(h Hash, use func(entry) error) error {
	mended := false
	for try := 0; ; try++ {
		generation, err := s.lookup(h, use)
		if err == nil || errors.Is(err, ErrTooLarge) {
			return err
		}
		now, listErr := s.refresh()
		if listErr != nil {
			return listErr
		}
		missing := errors.Is(err, ErrObjectNotFound) && now == generation
		if missing || try == readTries {
			// Somebody else may have mended it just before: a look at the list tells.
			if mended || s.mend == nil || !s.mend() && !missing {
				return err
			}
			mended, try = true, 0
			continue
		}
		if now == generation || try > 0 {
			s.sleep(pause(try))
		}
	}
}

// lookup searches packs, then loose objects. In this order an object that is
// being unpacked is found; one that is being packed shows as a changed list.
func (s *objectStore) lookup(h Hash, use func(entry) error) (generation int, err error) {
	s.mu.RLock()
	packs, folders, generation := s.packs, s.folders, s.generation
	s.mu.RUnlock()
	var broken error // one bad pack does not hide the others
	for _, p := range packs {
		offset, found, err := p.find(h)
		if err != nil {
			broken = err
		}
		if found {
			return generation, use(packed{pack: p, offset: offset})
		}
	}
	for _, folder := range folders {
		path := filepath.Join(folder, h.String()[:2], h.String()[2:])
		if _, err := os.Stat(path); err == nil {
			return generation, use(loose(path))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return generation, err
		}
	}
	if broken != nil {
		return generation, broken
	}
	return generation, ErrObjectNotFound
}

// refresh lists the packs anew and returns the generation, which is another than
// before if the list is.
func (s *objectStore) refresh() (int, error) {
	folders, err := objectFolders(s.folder)
	if err != nil {
		return 0, err
	}
	var paths []string
	for _, folder := range folders {
		found, err := packsIn(filepath.Join(folder, "pack"))
		if err != nil {
			return 0, err
		}
		paths = append(paths, found...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[string]*pack, len(s.packs))
	for _, p := range s.packs {
		known[p.path] = p
	}
	packs := make([]*pack, 0, len(paths))
	changed := s.folders == nil || len(paths) != len(s.packs)
	for _, path := range paths {
		p, ok := known[path]
		if !ok {
			p, changed = &pack{path: path}, true
		}
		packs = append(packs, p)
	}
	if changed {
		s.folders, s.packs = folders, packs
		s.generation++
	}
	return s.generation, nil
}

// packsIn lists a folder's packs, newest first, as paths without extension. A
// pack without index is one that somebody is still writing, or died writing.
func packsIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list packs: %w", err)
	}
	indexed := make(map[string]bool)
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".idx"); ok {
			indexed[name] = true
		}
	}
	type aged struct {
		path string
		time time.Time
	}
	var packs []aged
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".pack")
		if !ok || !indexed[name] {
			continue
		}
		if info, err := entry.Info(); err == nil { // else it has just been deleted
			packs = append(packs, aged{filepath.Join(folder, name), info.ModTime()})
		}
	}
	slices.SortStableFunc(packs, func(a, b aged) int { return b.time.Compare(a.time) })
	paths := make([]string, len(packs))
	for i, p := range packs {
		paths[i] = p.path
	}
	return paths, nil
}

// alternatesDepth is git's own limit on borrowing from who borrows.
const alternatesDepth = 5

// objectFolders returns folder and those it borrows from, nearest first.
func objectFolders(folder string) ([]string, error) {
	folders := []string{folder}
	level := folders
	for range alternatesDepth {
		var next []string
		for _, from := range level {
			data, err := os.ReadFile(filepath.Join(from, "info", "alternates"))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read alternates: %w", err)
			}
			for line := range strings.Lines(string(data)) {
				line = strings.TrimRight(line, "\n")
				if line == "" || line[0] == '#' {
					continue
				}
				if !filepath.IsAbs(line) {
					line = filepath.Join(from, line)
				}
				if line = filepath.Clean(line); !slices.Contains(folders, line) {
					folders, next = append(folders, line), append(next, line)
				}
			}
		}
		level = next
	}
	return folders, nil
}
