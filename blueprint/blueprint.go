// Package blueprint is the language people write: the root file, blueprints and
// pipelines of a repository. It reads them, points at mistakes, tells which
// pipelines a push matches, and draws construction plans.
//
// It does no I/O: files come through a Tree, values of git through a function.
// What it reads is written by whoever can push, so every limit on size, depth
// and number is checked before the work it limits is done.
//
// # Names
//
// A blueprint or pipeline is named after its path below its folder, without the
// extension. A file with several YAML documents holds several of them: `file`,
// `file-2`, and so on; empty documents do not count. Files and folders whose
// names begin with a dot are not read.
//
// # References
//
// ${name} stands for a parameter in the fields that say so (image, command,
// environment, tags, paths), never within a script: there every parameter is an
// environment variable. A command written as one string is first split into
// words as a shell would, then each word is expanded on its own, once; no value
// can add a word or be read as a reference again. $${name} is the literal text.
//
// Values that whoever pushes can choose (git.branch, git.tag, git.describe,
// git.describe.all, git.commit.author, git.commit.message, and parameters whose
// value is made of one) are tainted: they are refused where text becomes code
// or decides what runs, that is in image, network, user, mountPoint, paths,
// the arguments of derived parameters, the first word of a command, and any
// word of a command that hands code to a shell. Their `.clean` forms are safe
// anywhere: lower case, every byte but a-z, 0-9, dot, dash and underscore made a
// dash, with no dash or dot at either end.
//
// # Parameters
//
// A task knows the root file's parameters, its blueprint's, and those of the
// blueprints its steps include. Where two have one name, the blueprint's own
// comes before the root file's, and that before an included one's. A value that
// a person gives wins over the one in the pipeline, and that over the default.
// A derived parameter without `exports` may define any name, so names in its
// reach are not checked; with `exports` it defines exactly those.
package blueprint

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Limits on what is read.
const (
	MaxFile  = 256 << 10 // bytes in one file
	maxFiles = 1000
	maxTotal = 8 << 20 // bytes in all files
)

// A Tree is the files of one commit, or of a worktree. Paths are slash
// separated, relative to the repository's root and clean. Its methods are called
// one after the other, by one goroutine, and not after Load has returned.
type Tree interface {
	// List returns the paths of the regular files in dir and below, in any order,
	// and none if there is no such directory. Links are not followed.
	List(dir string) ([]string, error)
	// Read returns the file's bytes, or an error that wraps fs.ErrNotExist. It may
	// stop after MaxFile+1 bytes.
	Read(path string) ([]byte, error)
}

// A Config is the configuration of one commit. It is read-only and safe for
// concurrent use.
type Config struct {
	root       rootFile
	rootPath   string
	blueprints map[string]*blueprint
	pipelines  map[string]*pipeline
	findings   Findings
	predicates predicates
}

// Load reads and checks all files of the language. The findings tell what is
// wrong with them; the config then holds what could be read, and Draw refuses
// what errors stand in the way of. The error is the tree's own.
func Load(tree Tree) (*Config, Findings, error) {
	l := &loader{
		tree: tree,
		config: &Config{
			blueprints: map[string]*blueprint{},
			pipelines:  map[string]*pipeline{},
			predicates: predicates{},
		},
	}
	if err := l.loadRoot(); err != nil {
		return nil, nil, err
	}
	base := l.config.root.configPath()
	if err := l.loadDir(path.Join(base, "blueprints"), l.addBlueprint); err != nil {
		return nil, nil, err
	}
	if err := l.loadDir(path.Join(base, "pipelines"), l.addPipeline); err != nil {
		return nil, nil, err
	}
	check(l.config, &l.report)
	l.config.findings = l.report.findings(base)
	return l.config, l.config.findings, nil
}

// A loader reads the files one by one.
type loader struct {
	tree   Tree
	config *Config
	report report
	files  int
	bytes  int
}

// loadRoot reads the root file under either of its names.
func (l *loader) loadRoot() error {
	for _, name := range []string{".velocity.yml", ".velocity.yaml"} {
		text, err := l.tree.Read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if l.config.rootPath != "" {
			l.report.errorf(Position{File: name}, "%s and %s are both here", l.config.rootPath, name).Hint = "keep one of them"
			return nil
		}
		l.config.rootPath = name
		docs, d := l.parse(name, text)
		if len(docs) > 1 {
			l.report.errorf(d.at(docs[1]), "the root file holds more than one document")
		}
		if len(docs) > 0 {
			l.config.root.read(d, docs[0])
		}
	}
	return nil
}

// loadDir reads the YAML files of one folder in the order of their names.
func (l *loader) loadDir(dir string, add func(file, name string, text []byte)) error {
	paths, err := l.tree.List(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	paths = slices.Clone(paths)
	slices.Sort(paths)
	for _, file := range paths {
		name, ok := unitName(dir, file)
		if !ok {
			continue
		}
		if l.files++; l.files > maxFiles {
			l.report.errorf(Position{File: dir}, "more than %d files of configuration", maxFiles)
			return nil
		}
		text, err := l.tree.Read(file)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		if l.bytes += len(text); l.bytes > maxTotal {
			l.report.errorf(Position{File: dir}, "more than %d MiB of configuration", maxTotal>>20)
			return nil
		}
		add(file, name, text)
	}
	return nil
}

// unitName is the name of the blueprint or pipeline in file, or false for files
// that are none.
func unitName(dir, file string) (string, bool) {
	rest, ok := strings.CutPrefix(file, dir+"/")
	ext := path.Ext(rest)
	if !ok || ext != ".yml" && ext != ".yaml" || strings.HasPrefix(rest, ".") || strings.Contains(rest, "/.") {
		return "", false
	}
	return strings.TrimSuffix(rest, ext), true
}

// parse returns the documents of a file, none if it cannot be read.
func (l *loader) parse(file string, text []byte) ([]*yaml.Node, *decoder) {
	src, ok := newSource(file, text, &l.report)
	d := &decoder{src: src, report: &l.report}
	if !ok {
		return nil, d
	}
	docs, ok := src.documents(&l.report)
	if !countable(src, &l.report, docs) || !ok {
		return nil, d
	}
	return docs, d
}

func (l *loader) addBlueprint(file, name string, text []byte) {
	load(l, "blueprint", l.config.blueprints, file, name, text)
}

func (l *loader) addPipeline(file, name string, text []byte) {
	load(l, "pipeline", l.config.pipelines, file, name, text)
}
