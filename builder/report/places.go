package report

import (
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

// Places finds the files that tools name: by an absolute path on the machine or
// in a container, or by a path from the workspace or from a folder within it. It
// is used by one goroutine.
type Places struct {
	files fs.StatFS
	roots []string // where a step saw the workspace, slash separated
	known map[string]bool
}

// NewPlaces looks into the files of a workspace, which steps saw at roots.
func NewPlaces(files fs.StatFS, roots ...string) *Places {
	p := &Places{files: files, known: map[string]bool{}}
	for _, root := range roots {
		if root != "" {
			p.roots = append(p.roots, strings.TrimSuffix(filepath.ToSlash(root), "/"))
		}
	}
	return p
}

// maxKnown bounds the memory of names that were looked up.
const maxKnown = 10_000

// find is the name within the workspace of a file that is there, or "".
func (p *Places) find(name string) string {
	if name == "" || len(name) > 1024 {
		return ""
	}
	if path.IsAbs(name) {
		rel, ok := p.within(name)
		if !ok {
			return ""
		}
		name = rel
	}
	name = path.Clean(name)
	if !fs.ValidPath(name) || name == "." || !p.there(name) {
		return ""
	}
	return name
}

// within makes an absolute path relative to the workspace.
func (p *Places) within(name string) (string, bool) {
	for _, root := range p.roots {
		if rel, ok := strings.CutPrefix(name, root+"/"); ok {
			return rel, true
		}
	}
	return "", false
}

// findNear is find for a name that a tool printed without its folder: it is also
// looked for in the folders that the name of a package or class ends with.
func (p *Places) findNear(name, of string) string {
	if found := p.find(name); found != "" || path.IsAbs(name) {
		return found
	}
	for folder, more := of, of != ""; more; _, folder, more = strings.Cut(folder, "/") {
		if found := p.find(path.Join(folder, name)); found != "" {
			return found
		}
	}
	return ""
}

func (p *Places) there(name string) bool {
	there, known := p.known[name]
	if !known && len(p.known) < maxKnown {
		info, err := p.files.Stat(name)
		there = err == nil && info.Mode().IsRegular()
		p.known[name] = there
	}
	return there
}

// fromURI is the path that a file's URI means.
func fromURI(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return uri
	case u.Scheme == "" || u.Scheme == "file":
		return u.Path
	}
	return ""
}
