// Package project keeps which repositories of forges a server builds, in the
// architect's own bare repository. Every change is one commit on Ref, whose subject
// reads as history:
//
//	github-1296269: octo/hello is octo/world
//
// A project is found by the forge's number. Its name is what the forge said last:
// another repository may have it tomorrow, and then it is gone from here, too.
//
// What is written here was asked of the forge; nothing a webhook claims belongs in
// it. Any number of processes may read and change the projects at the same time.
package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/velocity-ci/velocity/storage/git"
)

// Ref is the branch of the projects in their repository.
const Ref = "refs/velocity/projects"

// ErrNone means that there is no such project.
var ErrNone = errors.New("no such project")

// A State is whether a project is built.
type State string

// The states of projects.
const (
	Active   State = "active"
	Archived State = "archived" // read-only on the forge: nothing new is built
	Away     State = "away"     // the forge shows it to us no more; what was built stays
)

// A Project is one repository of a forge.
type Project struct {
	Key          string // such as "github-1296269"
	Name         string // as in its address on the forge, such as "octo/world"
	Installation int64  // of the GitHub App; 0 elsewhere
	Default      string // full name of the default branch; "" if there is none
	Clone        string // where git fetches from
	Page         string // for people
	Public       bool
	State        State
	Since        time.Time // when it got its state
}

// A FieldError means that a project was refused for what one of its fields says.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// maxText bounds each text of a project, in bytes.
const maxText = 2048

var keyForm = regexp.MustCompile(`^[a-z]+-[1-9][0-9]{0,18}$`)

func unprintable(r rune) bool { return unicode.Is(unicode.C, r) }

func (p Project) check() error {
	switch {
	case !keyForm.MatchString(p.Key):
		return &FieldError{"key", fmt.Sprintf("%.80q is not a forge's name, a hyphen and a number", p.Key)}
	case p.Name == "":
		return &FieldError{"name", "it is empty"}
	case p.State != Active && p.State != Archived && p.State != Away:
		return &FieldError{"state", fmt.Sprintf("%.40q is none", p.State)}
	}
	for _, f := range []struct{ name, text string }{
		{"name", p.Name}, {"default", p.Default}, {"clone", p.Clone}, {"page", p.Page},
	} {
		if len(f.text) > maxText || strings.ContainsFunc(f.text, unprintable) {
			return &FieldError{f.name, fmt.Sprintf("%.40q is longer than %d bytes or more than a line of text", f.text, maxText)}
		}
	}
	return nil
}

// Projects are the projects in one repository. They are safe for concurrent use.
type Projects struct {
	repo *git.Repository
	now  func() time.Time
}

// Open is the projects in repo. It reads nothing yet and writes nothing.
func Open(repo *git.Repository, now func() time.Time) *Projects {
	return &Projects{repo: repo, now: now}
}

// Put records a project as the forge shows it now, durable when it returns. Since is
// set if the state changes. Another project of the same name is Away by that, for a
// name is of one. It reports whether anything was changed. Errors: *FieldError.
func (s *Projects) Put(ctx context.Context, p Project) (changed bool, err error) {
	if err := p.check(); err != nil {
		return false, err
	}
	err = s.repo.Revise(ctx, Ref, s.now, func(head git.Hash) (git.Revision, error) {
		changed = false
		v, err := s.draw(head, p)
		changed = len(v.Files) > 0
		return v, err
	})
	if err != nil {
		return false, fmt.Errorf("record project %s: %w", p.Key, err)
	}
	return changed, nil
}

func (s *Projects) draw(head git.Hash, p Project) (v git.Revision, err error) {
	all, err := s.list(head)
	if err != nil {
		return v, err
	}
	var old Project
	for _, other := range all {
		switch {
		case other.Key == p.Key:
			old = other
		case strings.EqualFold(other.Name, p.Name) && other.State != Away && p.State != Away && forgeOf(other.Key) == forgeOf(p.Key):
			other.State, other.Since = Away, s.now().UTC()
			if err := put(&v, other); err != nil {
				return v, err
			}
		}
	}
	p.Since = old.Since
	if old.State != p.State {
		p.Since = s.now().UTC()
	}
	if old == p {
		return v, nil
	}
	v.Subject = p.Key + ": " + difference(old, p)
	return v, put(&v, p)
}

func put(v *git.Revision, p Project) error {
	data, err := encode(p)
	v.Put(pathOf(p.Key), data)
	return err
}

// difference is a line of history.
func difference(old, p Project) string {
	switch {
	case old.Key == "":
		return p.Name + " is here"
	case old.Name != p.Name:
		return old.Name + " is " + p.Name
	case old.State != p.State:
		return p.Name + " is " + string(p.State)
	}
	return p.Name + " has changed"
}

func forgeOf(key string) string {
	forge, _, _ := strings.Cut(key, "-")
	return forge
}

// Get finds a project. Errors: ErrNone.
func (s *Projects) Get(_ context.Context, key string) (Project, error) {
	head, err := s.head()
	if err == nil && (head.IsZero() || !keyForm.MatchString(key)) {
		err = ErrNone
	}
	if err != nil {
		return Project{}, fmt.Errorf("project %.80s: %w", key, err)
	}
	return s.get(head, key)
}

// List lists all projects, those that are away too, by their keys as text.
func (s *Projects) List(context.Context) ([]Project, error) {
	head, err := s.head()
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	return s.list(head)
}

func (s *Projects) head() (git.Hash, error) {
	head, err := s.repo.Ref(Ref)
	if errors.Is(err, git.ErrRefNotFound) {
		return git.Zero, nil
	}
	return head, err
}

func (s *Projects) list(head git.Hash) ([]Project, error) {
	if head.IsZero() {
		return nil, nil
	}
	entries, err := s.repo.List(head, folder)
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	var all []Project
	for _, e := range entries {
		key, ok := strings.CutSuffix(e.Name, suffix)
		if !ok {
			continue
		}
		p, err := s.get(head, key)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (s *Projects) get(head git.Hash, key string) (Project, error) {
	data, err := s.repo.ReadFile(head, pathOf(key), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNone
	}
	var p Project
	if err == nil {
		p, err = decode(data)
	}
	if err == nil && p.Key != key {
		err = fmt.Errorf("the record is of %.80s", p.Key)
	}
	if err != nil {
		return Project{}, fmt.Errorf("project %.80s: %w", key, err)
	}
	return p, nil
}
