package docker

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// ignoreFile lists what is not part of a build's context.
const ignoreFile = ".dockerignore"

// A buildContext is what the engine's own builder gets to see: the files below
// one directory of the workspace that .dockerignore leaves, and the Dockerfile.
// It is read through an os.Root, so that no link leads out of the workspace.
type buildContext struct {
	root       *os.Root // the workspace
	dir        string   // below root, "." for itself
	dockerfile string   // below root
	ignored    *patternmatcher.PatternMatcher
	patterns   []string
}

// openContext reads .dockerignore. The caller closes root.
func openContext(root *os.Root, dir, dockerfile string) (*buildContext, error) {
	c := &buildContext{root: root, dir: path.Clean(dir), dockerfile: path.Clean(dockerfile)}
	file, err := root.Open(path.Join(c.dir, ignoreFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", ignoreFile, err)
	default:
		defer file.Close()
		if c.patterns, err = ignorefile.ReadAll(file); err != nil {
			return nil, fmt.Errorf("read %s: %w", ignoreFile, err)
		}
	}
	if c.ignored, err = patternmatcher.New(c.patterns); err != nil {
		return nil, fmt.Errorf("%s: %w", ignoreFile, err)
	}
	return c, nil
}

// dockerfileName is what the Dockerfile is called within the context. One that
// lies elsewhere gets a name that stands for where that is, and is always new
// under it: the engine removes it again, since the .dockerignore that it gets
// says so.
func (c *buildContext) dockerfileName() (name string, inside bool) {
	if c.dir == "." {
		return c.dockerfile, true
	}
	if name, ok := strings.CutPrefix(c.dockerfile, c.dir+"/"); ok {
		return name, true
	}
	sum := sha256.Sum256([]byte(c.dockerfile))
	return ".dockerfile-" + hex.EncodeToString(sum[:8]), false
}

// write makes a tar file of the context. Everything in it belongs to root, as
// with every builder of images; what is no file, directory or link is left out.
func (c *buildContext) write(w io.Writer) error {
	t := tar.NewWriter(w)
	err := fs.WalkDir(c.root.FS(), c.dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == c.dir {
			return err
		}
		skip, err := c.skips(name, entry)
		if skip || err != nil {
			return err
		}
		return c.add(t, name, c.within(name))
	})
	if name, inside := c.dockerfileName(); err == nil && !inside {
		err = errors.Join(c.add(t, c.dockerfile, name), addText(t, ignoreFile, append(slices.Clone(c.patterns), name)))
	}
	return errors.Join(err, t.Close())
}

// within is a path of the workspace as one of the context.
func (c *buildContext) within(name string) string {
	if c.dir == "." {
		return name
	}
	return strings.TrimPrefix(name, c.dir+"/")
}

// skips reports whether an entry is not sent. fs.SkipDir as error spares the
// walk a directory that nothing can be taken back from.
func (c *buildContext) skips(name string, entry fs.DirEntry) (bool, error) {
	short := c.within(name)
	dockerfile, inside := c.dockerfileName()
	if short == ignoreFile {
		return !inside, nil // written at the end
	}
	if short == dockerfile {
		return false, nil
	}
	ignored, err := c.ignored.MatchesOrParentMatches(short)
	if err != nil {
		return false, fmt.Errorf("%s: %w", ignoreFile, err)
	}
	if ignored && entry.IsDir() && !c.ignored.Exclusions() && !strings.HasPrefix(dockerfile, short+"/") {
		return true, fs.SkipDir
	}
	switch entry.Type() {
	case 0, fs.ModeDir, fs.ModeSymlink:
		return ignored, nil
	}
	return true, nil
}

// add puts one file, directory or link of the workspace into t.
func (c *buildContext) add(t *tar.Writer, name, as string) error {
	info, err := c.root.Lstat(name)
	if err != nil {
		return err
	}
	link := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if link, err = c.root.Readlink(name); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name = as
	if info.IsDir() {
		header.Name += "/"
	}
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
	if err := t.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := c.root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.CopyN(t, file, info.Size())
	return err
}

// addText puts a file of lines into t.
func addText(t *tar.Writer, name string, lines []string) error {
	text := strings.Join(lines, "\n") + "\n"
	if err := t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := io.WriteString(t, text)
	return err
}
