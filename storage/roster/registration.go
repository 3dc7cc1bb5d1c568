package roster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// A Registration is leave for one builder to register, once.
type Registration struct {
	ID        string            // public part of the token
	Name      string            // the only name it is for; "" for any
	Labels    map[string]string // the builder gets these; they win over its own
	Untrusted bool              // the builder gets the tasks of strangers only
	Created   time.Time
	Expires   time.Time
	By        string // who made it
}

func (g Registration) check() error {
	if g.Name != "" {
		if err := checkName(g.Name); err != nil {
			return err
		}
	}
	return checkLabels(g.Labels)
}

// LongestRegistration bounds how long a registration token may be good for.
const LongestRegistration = 30 * 24 * time.Hour

// Mint makes a registration token that is good for a time. It is told once, here,
// and stored as a hash. Tokens that were not used in time leave the roster.
//
// Errors: *FieldError.
func (r *Roster) Mint(ctx context.Context, g Registration, goodFor time.Duration) (secret string, made Registration, err error) {
	if err := g.check(); err != nil {
		return "", g, err
	}
	if goodFor <= 0 || goodFor > LongestRegistration {
		return "", g, &FieldError{"ttl", fmt.Sprintf("%s is not between 0 and %s", goodFor, LongestRegistration)}
	}
	if secret, g.ID, err = newSecret(RegistrationPrefix); err != nil {
		return "", g, err
	}
	g.Created = r.now().UTC()
	g.Expires = g.Created.Add(goodFor)
	data, err := encode(registrationRecord{
		Version: recordVersion, ID: g.ID, Hash: hash(secret), Name: g.Name, Labels: g.Labels, Untrusted: g.Untrusted,
		Created: g.Created, Expires: g.Expires, By: g.By,
	})
	if err != nil {
		return "", g, err
	}
	err = r.change(ctx, func(head git.Hash) (git.Revision, error) {
		edits, err := r.overdue(head)
		subject := fmt.Sprintf("registration %s: made by %s", g.ID, actor(g.By))
		return git.Revision{Subject: subject, Files: append(edits, edit(kindRegistration, g.ID, data))}, err
	})
	return secret, g, err
}

// overdue drops the registration tokens whose time is over.
func (r *Roster) overdue(head git.Hash) ([]git.FileEdit, error) {
	ids, err := r.ids(head, kindRegistration)
	var edits []git.FileEdit
	for _, id := range ids {
		data, err := r.read(head, kindRegistration, id)
		if err != nil {
			return nil, err
		}
		g, err := decodeRegistration(data)
		var newer *VersionError
		if errors.As(err, &newer) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !r.now().Before(g.Expires) {
			edits = append(edits, edit(kindRegistration, id, nil))
		}
	}
	return edits, err
}

// Register uses up a registration token and enters a builder, both in one commit:
// of two that come with the same token, one is entered. What the token says about
// labels and trust counts more than what the builder says.
//
// Errors: ErrRefused, ErrTaken, *FieldError. Only the first is told to somebody
// who has no good token: the others leave the token unused.
func (r *Roster) Register(ctx context.Context, secret string, b Builder) (Builder, error) {
	id, err := idOf(RegistrationPrefix, secret)
	if err != nil {
		return Builder{}, ErrRefused
	}
	err = r.change(ctx, func(head git.Hash) (git.Revision, error) {
		g, err := r.registration(head, id, secret)
		if err != nil {
			return git.Revision{}, err
		}
		if b, err = g.admit(b, r.now()); err != nil {
			return git.Revision{}, err
		}
		if err := r.free(head, b); err != nil {
			return git.Revision{}, err
		}
		data, err := encodeBuilder(b)
		return git.Revision{
			Subject: fmt.Sprintf("builder %s: registered with %s, made by %s", b.Name, g.ID, actor(g.By)),
			Files:   []git.FileEdit{edit(kindBuilder, b.Name, data), edit(kindRegistration, g.ID, nil)},
		}, err
	})
	return b, err
}

// registration reads a token that is still good.
func (r *Roster) registration(head git.Hash, id, secret string) (registrationRecord, error) {
	data, err := r.read(head, kindRegistration, id)
	if errors.Is(err, ErrNone) {
		opens("", secret) // takes the time that a known one takes
		return registrationRecord{}, ErrRefused
	}
	if err != nil {
		return registrationRecord{}, err
	}
	g, err := decodeRegistration(data)
	if err != nil {
		return g, err
	}
	if !opens(g.Hash, secret) || !r.now().Before(g.Expires) {
		return g, ErrRefused
	}
	return g, nil
}

// admit is the builder as it will be entered.
func (g registrationRecord) admit(b Builder, now time.Time) (Builder, error) {
	if b.Name == "" {
		b.Name = g.Name
	}
	if g.Name != "" && b.Name != g.Name {
		return b, &FieldError{"name", "the token is for a builder named " + g.Name}
	}
	labels := maps.Clone(b.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, g.Labels)
	b.Labels, b.Untrusted = labels, g.Untrusted
	b.Drained, b.Revoked = false, false
	b.Registered, b.By = now.UTC(), g.ID
	return b, b.check()
}

// free fails if a name or key is taken. Names differ in more than case, since
// they name folders on all kinds of disks.
func (r *Roster) free(head git.Hash, b Builder) error {
	all, err := r.builders(head)
	if err != nil {
		return err
	}
	for _, other := range all {
		if strings.EqualFold(other.Name, b.Name) || other.Public == b.Public {
			return ErrTaken
		}
	}
	return nil
}
