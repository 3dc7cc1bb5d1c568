package compose

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/builder/executor"
)

const (
	maxFiles = 100       // that a project may be made of
	maxFile  = 256 << 10 // bytes of each
)

// files are where a project is read from, as absolute paths without links.
type files struct {
	root    string // the workspace
	dir     string // what relative paths of the Compose file count from
	compose string
	dotenv  string // "" if there is none
}

// findFiles finds a project's files and refuses those that would have the plugin
// read anything that is not in the workspace.
func findFiles(workspace, name string) (files, error) {
	root, err := filepath.EvalSymlinks(workspace)
	if err != nil {
		return files{}, broke("find the workspace", err)
	}
	f := files{root: root}
	if f.dir, err = inside(root, filepath.Join(root, filepath.Dir(filepath.FromSlash(name)))); err == nil {
		f.compose, err = inside(root, filepath.Join(root, filepath.FromSlash(name)))
	}
	if err != nil {
		return files{}, &executor.StartError{What: fmt.Sprintf("composeFile %q: %v", name, err), Hint: "name a file of the repository, relative to its root"}
	}
	s := &scan{root: root, seen: map[string]bool{}}
	if err := s.file(f.compose, f.dir); err != nil {
		return files{}, &executor.StartError{What: err.Error(), Hint: "a Compose project is made of files of the repository"}
	}
	if dotenv := filepath.Join(f.dir, ".env"); exists(dotenv) {
		f.dotenv = dotenv
	}
	return f, nil
}

var errOutside = errors.New("it leads out of the workspace")

// inside follows the links of a path and refuses one that leads out of root. What
// does not exist is where it would be made.
func inside(root, path string) (string, error) {
	rest := ""
	for at := filepath.Clean(path); ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			if _, linkErr := os.Lstat(at); linkErr == nil {
				return "", fmt.Errorf("%s is a link to nothing", filepath.Base(at))
			}
			rest = filepath.Join(filepath.Base(at), rest)
			continue
		}
		if err != nil {
			return "", err
		}
		rel, err := filepath.Rel(root, real)
		if err != nil || !filepath.IsLocal(rel) {
			return "", errOutside
		}
		return filepath.Join(real, rest), nil
	}
}

// readable refuses a file that is elsewhere, would hold a reader up, or has no end.
// One that does not exist is for the plugin to miss.
func (s *scan) readable(path string) error {
	if !exists(path) {
		return nil
	}
	real, err := inside(s.root, path)
	if err != nil {
		return fmt.Errorf("%s: %w", s.short(path), err)
	}
	switch info, err := os.Lstat(real); {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: it is not a regular file", s.short(path))
	case info.Size() > maxFile:
		return fmt.Errorf("%s: it is larger than %d KiB", s.short(path), maxFile>>10)
	}
	return nil
}

// A scan looks through Compose files for the names of others. It takes every
// place for one that could be, whatever the plugin makes of it, and refuses names
// that only the plugin could tell, for they hold a variable.
type scan struct {
	root string
	seen map[string]bool // by path and what relative names in it count from
}

// file scans one Compose file, in which relative names count from dir.
func (s *scan) file(path, dir string) error {
	key := path + "\x00" + dir
	if s.seen[key] {
		return nil
	}
	if s.seen[key] = true; len(s.seen) > maxFiles {
		return fmt.Errorf("it is made of more than %d files", maxFiles)
	}
	for _, name := range []string{path, filepath.Join(dir, ".env"), filepath.Join(filepath.Dir(path), ".env")} {
		if err := s.readable(name); err != nil {
			return err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p := &page{scan: s, dir: dir, own: filepath.Dir(path), name: s.short(path), seen: map[visit]bool{}}
	for d := yaml.NewDecoder(f); ; {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := p.walk(&doc, ""); err != nil {
			return err
		}
	}
}

func (s *scan) short(path string) string {
	rel, err := filepath.Rel(s.root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}

// A page is one Compose file that is being scanned.
type page struct {
	*scan
	dir  string // what relative names count from
	own  string // directory of the file itself
	name string
	seen map[visit]bool
}

// A visit is a node met where its texts mean what key says. Aliases make trees
// of graphs, so that each is walked once.
type visit struct {
	node *yaml.Node
	key  string
}

// walk looks at all below n. key is the key under which texts name files, or "".
func (p *page) walk(n *yaml.Node, key string) error {
	if p.seen[visit{n, key}] {
		return nil
	}
	p.seen[visit{n, key}] = true
	switch n.Kind {
	case yaml.AliasNode:
		return p.walk(n.Alias, key)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := p.walk(n.Content[i+1], meaning(key, n.Content[i])); err != nil {
				return err
			}
		}
	case yaml.ScalarNode:
		return p.text(n, key)
	default:
		for _, child := range n.Content {
			if err := p.walk(child, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// meaning is the key under which the value of a mapping's key is walked.
func meaning(above string, k *yaml.Node) string {
	if k.Kind == yaml.AliasNode {
		k = k.Alias
	}
	name := k.Value
	switch {
	case name == "<<":
		return above
	case name == "include", name == "extends", name == "env_file", name == "label_file":
		return name
	case above == "extends" && name == "file":
		return "extends.file"
	case above == "include" && name == "path":
		return "include"
	case above == "include" && name == "project_directory":
		return "project_directory"
	case above == "env_file" && name == "path":
		return "env_file"
	}
	return ""
}

// text looks at one text. A file that is part of the project is scanned, too; of
// others it is enough that they are in the workspace.
func (p *page) text(n *yaml.Node, key string) error {
	compose := key == "include" || key == "extends.file"
	switch {
	case key == "" || key == "extends" || n.Value == "":
		return nil
	case key == "project_directory":
		return fmt.Errorf("%s:%d: %s is not allowed", p.name, n.Line, key)
	case strings.Contains(n.Value, "$"):
		return fmt.Errorf("%s:%d: %s %q: a name of a file may not hold a variable", p.name, n.Line, key, n.Value)
	}
	for _, base := range []string{p.dir, p.own} {
		path := filepath.FromSlash(n.Value)
		if !filepath.IsAbs(path) {
			path = filepath.Join(base, path)
		}
		real, err := inside(p.root, path)
		switch {
		case err != nil:
		case compose && exists(real):
			err = p.composeFile(path, real)
		default:
			err = p.readable(path)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %s %q: %w", p.name, n.Line, key, n.Value, err)
		}
	}
	return nil
}

// composeFile scans a file from whose directory, or from that of the project,
// its relative names count.
func (p *page) composeFile(path, real string) error {
	for _, dir := range []string{filepath.Dir(path), p.dir} {
		if err := p.file(real, dir); err != nil {
			return err
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
