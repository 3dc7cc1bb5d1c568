package roster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/velocity-ci/velocity/storage/git"
)

// A Builder is a machine that may build, or may no more.
type Builder struct {
	Name      string
	Public    string // its nkey, which it proves to have whenever it connects
	Curve     string // its curve key, to which secrets are sealed
	Labels    map[string]string
	Executors []string
	Program   string // the version of velocity that registered it
	Untrusted bool   // gets the tasks of strangers, and no others

	Drained bool // takes nothing new
	Revoked bool // may not connect; the name stays taken, so that history means one machine

	Registered time.Time
	By         string // id of the registration token
}

// Bounds on what a builder may say about itself.
const (
	maxLabels    = 64
	maxText      = 256 // bytes of a label, a version or the like
	maxExecutors = 8
)

// Keys as nkeys prints them: U and X for users and curves, base32 of keyText bytes.
var (
	publicKey = regexp.MustCompile(`^U[A-Z2-7]+$`)
	curveKey  = regexp.MustCompile(`^X[A-Z2-7]+$`)
)

const keyText = 56

func (b Builder) check() error {
	if err := checkName(b.Name); err != nil {
		return err
	}
	switch {
	case len(b.Public) != keyText || !publicKey.MatchString(b.Public):
		return &FieldError{"public", "this is no public nkey of a user"}
	case len(b.Curve) != keyText || !curveKey.MatchString(b.Curve):
		return &FieldError{"curve", "this is no public curve key"}
	case len(b.Executors) > maxExecutors:
		return &FieldError{"executors", fmt.Sprintf("there are more than %d", maxExecutors)}
	}
	for _, text := range append([]string{b.Program}, b.Executors...) {
		if err := checkText("executors and version", text); err != nil {
			return err
		}
	}
	return checkLabels(b.Labels)
}

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return &FieldError{"labels", fmt.Sprintf("there are more than %d", maxLabels)}
	}
	for name, value := range labels {
		if name == "" {
			return &FieldError{"labels", "one has no name"}
		}
		for _, text := range []string{name, value} {
			if err := checkText("labels", text); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkText accepts one line of printable text.
func checkText(field, text string) error {
	if len(text) > maxText || strings.ContainsFunc(text, unprintable) {
		return &FieldError{field, fmt.Sprintf("%.40q is longer than %d bytes or more than a line of text", text, maxText)}
	}
	return nil
}

func unprintable(r rune) bool { return unicode.Is(unicode.C, r) }

// Builders lists all, revoked ones too, by name.
func (r *Roster) Builders(context.Context) ([]Builder, error) {
	head, err := r.head()
	if err != nil {
		return nil, fmt.Errorf("list builders: %w", err)
	}
	return r.builders(head)
}

func (r *Roster) builders(head git.Hash) ([]Builder, error) {
	names, err := r.ids(head, kindBuilder)
	if err != nil {
		return nil, fmt.Errorf("list builders: %w", err)
	}
	var all []Builder
	for _, name := range names {
		b, err := r.builder(head, name)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func (r *Roster) builder(head git.Hash, name string) (Builder, error) {
	data, err := r.read(head, kindBuilder, name)
	if err != nil {
		return Builder{}, fmt.Errorf("builder %.80s: %w", name, err)
	}
	b, err := decodeBuilder(data)
	if err == nil && b.Name != name {
		err = fmt.Errorf("the record is of %s", b.Name)
	}
	if err != nil {
		return Builder{}, fmt.Errorf("builder %.80s: %w", name, err)
	}
	return b, nil
}

// Known finds the builder with a public key, for whoever checks a connection. ok
// is false for an unknown and for a revoked one.
func (r *Roster) Known(ctx context.Context, public string) (b Builder, ok bool, err error) {
	all, err := r.Builders(ctx)
	for _, b := range all {
		if b.Public == public && !b.Revoked {
			return b, true, nil
		}
	}
	return Builder{}, false, err
}

// Drain makes a builder take nothing new. by is whoever asks. Errors: ErrNone.
func (r *Roster) Drain(ctx context.Context, name, by string) error {
	return r.turn(ctx, name, "drained", by, func(b *Builder) { b.Drained = true })
}

// Resume ends what Drain did. Errors: ErrNone.
func (r *Roster) Resume(ctx context.Context, name, by string) error {
	return r.turn(ctx, name, "resumed", by, func(b *Builder) { b.Drained = false })
}

// Revoke shuts a builder out for good. Errors: ErrNone.
func (r *Roster) Revoke(ctx context.Context, name, by string) error {
	return r.turn(ctx, name, "revoked", by, func(b *Builder) { b.Revoked = true })
}

// turn changes a builder; if nothing changes, no history is written.
func (r *Roster) turn(ctx context.Context, name, verb, by string, with func(*Builder)) error {
	if err := checkName(name); err != nil {
		return errors.Join(ErrNone, err)
	}
	return r.change(ctx, func(head git.Hash) (git.Revision, error) {
		b, err := r.builder(head, name)
		if err != nil {
			return git.Revision{}, err
		}
		drained, revoked := b.Drained, b.Revoked
		with(&b)
		if b.Drained == drained && b.Revoked == revoked {
			return git.Revision{}, nil
		}
		data, err := encodeBuilder(b)
		subject := fmt.Sprintf("builder %s: %s by %s", name, verb, actor(by))
		return git.Revision{Subject: subject, Files: []git.FileEdit{edit(kindBuilder, name, data)}}, err
	})
}
