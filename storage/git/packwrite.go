package git

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// writePack stores a batch as one pack, durable when it returns.
func (r *Repository) writePack(b *Batch) (err error) {
	folder := &packFolder{
		Filesystem: osfs.New(r.commonDir, osfs.WithBoundOS()),
		root:       r.commonDir,
		disk:       r.disk,
	}
	defer folder.clean()
	if err := r.disk.folder(filepath.Join(r.commonDir, "objects", "pack")); err != nil {
		return err
	}
	w, err := dotgit.New(folder).NewObjectPack()
	if err != nil {
		return err
	}
	hashes := make([]plumbing.Hash, len(b.order))
	for i, h := range b.order {
		hashes[i] = plumbing.Hash(h)
	}
	// The encoder writes a few bytes at a time, each of them a wake-up of the
	// goroutine that builds the index.
	buffered := bufio.NewWriterSize(w, 64<<10)
	name, err := packfile.NewEncoder(buffered, source{objects: b.objects}, false).Encode(hashes, 0)
	err = errors.Join(err, buffered.Flush())
	folder.aborted = err != nil
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	// A pack of the same name has the same content and was not written again.
	return r.disk.keep(filepath.Join(r.commonDir, "objects", "pack", "pack-"+name.String()))
}

// source gives the encoder a batch's objects; it asks for nothing else.
type source struct {
	storer.EncodedObjectStorer
	objects map[Hash]object
}

// EncodedObject returns one of the objects.
func (s source) EncodedObject(_ plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	o, ok := s.objects[Hash(h)]
	if !ok {
		return nil, plumbing.ErrObjectNotFound
	}
	return encoded(o)
}

func encoded(o object) (plumbing.EncodedObject, error) {
	m := &plumbing.MemoryObject{}
	m.SetType(o.kind)
	_, err := m.Write(o.content)
	return m, err
}

// keep marks the pack at path (without extension) as ours. git's gc and repack
// leave a pack with a .keep file alone, so its objects live until upkeep decides.
func (d disk) keep(path string) error {
	err := d.write(path+".keep", []byte(oursMark), 0o444)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// publish gives a finished pack and its index, both synced, their names; base is
// the pack's path without extension. The .keep file comes first, so that no gc
// sees an unkept pack of ours, and the index last, as git does it: gc deletes an
// index, and the .keep file with it, that has no pack.
//
// The pack gets the mode and the time of its .keep file; that the times differ later tells that git
// met one of the objects and counts on it.
func (d disk) publish(pack, index, base string) error {
	if err := d.keep(base); err != nil {
		return err
	}
	info, err := os.Stat(base + ".keep")
	if err != nil {
		return err
	}
	if err := os.Chtimes(pack, info.ModTime(), info.ModTime()); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(pack, info.Mode()), os.Chmod(index, info.Mode())); err != nil {
		return err
	}
	if err := d.rename(pack, base+".pack"); err != nil {
		return err
	}
	if err := d.rename(index, base+".idx"); err != nil {
		return err
	}
	return d.syncFolder(filepath.Dir(base))
}

// packFolder is the file system on which go-git writes a pack: in our own folder,
// each file synced when it is closed, until publish shows both at once.
type packFolder struct {
	billy.Filesystem
	root  string
	disk  disk
	temps []string
	index string // the unfinished index
	// aborted is set before Close when the pack is incomplete. go-git would give
	// such a file a name all the same.
	aborted bool
}

var errAborted = errors.New("pack is incomplete")

func (f *packFolder) abs(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.root, name)
}

// clean removes what a failed write left; after a success nothing is.
func (f *packFolder) clean() {
	for _, temp := range f.temps {
		_ = os.Remove(temp)
	}
}

// temp begins a file in our own folder: beside the packs, "git gc --prune=now"
// would remove it under our hands.
func (f *packFolder) temp() (*packFile, error) {
	dir := filepath.Join(f.root, ownFolder)
	if err := f.disk.before("create", dir); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, packTemp)
	if err != nil {
		return nil, err
	}
	f.temps = append(f.temps, file.Name())
	return &packFile{File: file, disk: f.disk}, nil
}

// TempFile is where go-git begins a pack.
func (f *packFolder) TempFile(string, string) (billy.File, error) { return f.temp() }

// Create is called for the index, with its final name.
func (f *packFolder) Create(string) (billy.File, error) {
	if f.aborted {
		return nil, errAborted
	}
	file, err := f.temp()
	if err != nil {
		return nil, err
	}
	f.index = file.Name()
	file.buffer = bufio.NewWriter(writerFunc(file.write))
	return file, nil
}

// Open is how go-git reads what it has just written.
func (f *packFolder) Open(name string) (billy.File, error) {
	file, err := os.Open(f.abs(name))
	if err != nil {
		return nil, err
	}
	return &packFile{File: file, disk: f.disk, read: true}, nil
}

// Lstat is how go-git asks whether the pack and its index exist already. They do
// only together; one alone is from a writer that died and is replaced.
func (f *packFolder) Lstat(name string) (info os.FileInfo, err error) {
	base := strings.TrimSuffix(f.abs(name), filepath.Ext(name))
	for _, extension := range []string{".pack", ".idx"} {
		if info, err = os.Lstat(base + extension); err != nil {
			return nil, err
		}
	}
	return info, nil
}

// Remove is called for a pack that exists already.
func (f *packFolder) Remove(name string) error { return f.disk.remove(f.abs(name)) }

// Rename is called for the pack, when the index is closed.
func (f *packFolder) Rename(from, to string) error {
	if f.aborted || f.index == "" {
		return errAborted
	}
	return f.disk.publish(f.abs(from), f.index, strings.TrimSuffix(f.abs(to), ".pack"))
}

// packFile is a file of a pack in the making.
type packFile struct {
	*os.File
	disk   disk
	read   bool          // only open for reading
	buffer *bufio.Writer // of an index: go-git writes it four bytes at a time
}

func (f *packFile) Write(p []byte) (int, error) {
	if f.buffer != nil {
		return f.buffer.Write(p)
	}
	return f.write(p)
}

func (f *packFile) write(p []byte) (int, error) {
	if err := f.disk.before("write", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// Close makes what was written durable; publish gives it a name.
func (f *packFile) Close() error {
	if f.read {
		return f.File.Close()
	}
	var err error
	if f.buffer != nil {
		err = f.buffer.Flush()
	}
	if err == nil {
		err = f.disk.sync(f.File)
	}
	return errors.Join(err, f.File.Close())
}

// writerFunc is an io.Writer.
type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

// Lock does nothing: a temporary file has one user.
func (f *packFile) Lock() error { return nil }

// Unlock does nothing, see Lock.
func (f *packFile) Unlock() error { return nil }
