package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// A Right is what a token may do; each includes those before it.
type Right string

// The rights.
const (
	Read  Right = "read"  // see builds and logs
	Act   Right = "act"   // start, re-run and cancel builds
	Admin Right = "admin" // builders and tokens
)

// Rights are all, the least first.
var Rights = []Right{Read, Act, Admin}

// Includes reports whether r covers need. No right includes an unknown one.
func (r Right) Includes(need Right) bool {
	return slices.Contains(Rights, need) && slices.Index(Rights, r) >= slices.Index(Rights, need)
}

// A Token is somebody's leave to ask the API.
type Token struct {
	ID           string // public part of the secret
	Name         string // of the person or program that has it
	Rights       Right
	Repositories []string // the only ones it is for, by what they stay known by; none means all
	Called       []string // what people called those, in the same order, for lists; may be missing
	Created      time.Time
	Expires      time.Time // zero means never
	By           string    // who made it
}

// May reports whether the token has a right in a repository, by what that stays
// known by: a name may be another repository's tomorrow.
func (t Token) May(need Right, repository string) bool {
	return t.Rights.Includes(need) && (len(t.Repositories) == 0 || slices.Contains(t.Repositories, repository))
}

const maxRepositories = 100

func (t Token) check() error {
	if err := checkName(t.Name); err != nil {
		return err
	}
	switch {
	case !slices.Contains(Rights, t.Rights):
		return &FieldError{"rights", fmt.Sprintf("%.40q is none of read, act and admin", t.Rights)}
	case t.Rights == Admin && len(t.Repositories) > 0:
		return &FieldError{"repositories", "admin is for the whole server"}
	case len(t.Repositories) > maxRepositories:
		return &FieldError{"repositories", fmt.Sprintf("there are more than %d", maxRepositories)}
	}
	if len(t.Called) > 0 && len(t.Called) != len(t.Repositories) {
		return &FieldError{"called", "there is not one for each repository"}
	}
	for _, name := range slices.Concat(t.Repositories, t.Called) {
		if name == "" {
			return &FieldError{"repositories", "one has no name"}
		}
		if err := checkText("repositories", name); err != nil {
			return err
		}
	}
	return nil
}

// Issue makes a token. The secret is told once, here, and stored as a hash.
//
// Errors: *FieldError.
func (r *Roster) Issue(ctx context.Context, t Token) (secret string, made Token, err error) {
	t.Created = r.now().UTC()
	if err := t.check(); err != nil {
		return "", t, err
	}
	if !t.Expires.IsZero() && !t.Expires.After(t.Created) {
		return "", t, &FieldError{"expires", "that time is past"}
	}
	if secret, t.ID, err = newSecret(TokenPrefix); err != nil {
		return "", t, err
	}
	data, err := encode(tokenRecord{
		Version: recordVersion, ID: t.ID, Hash: hash(secret), Name: t.Name, Rights: t.Rights,
		Repositories: t.Repositories, Called: t.Called, Created: t.Created, Expires: t.Expires, By: t.By,
	})
	if err != nil {
		return "", t, err
	}
	err = r.change(ctx, func(git.Hash) (git.Revision, error) {
		subject := fmt.Sprintf("token %s (%s, %s): made by %s", t.ID, t.Name, t.Rights, actor(t.By))
		return git.Revision{Subject: subject, Files: []git.FileEdit{edit(kindToken, t.ID, data)}}, nil
	})
	return secret, t, err
}

// Tokens lists the tokens that were not revoked, expired ones too, the oldest
// first.
func (r *Roster) Tokens(context.Context) ([]Token, error) {
	head, err := r.head()
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	ids, err := r.ids(head, kindToken)
	var all []Token
	for _, id := range ids {
		data, err := r.read(head, kindToken, id)
		if err != nil {
			return nil, fmt.Errorf("read token %s: %w", id, err)
		}
		t, err := decodeToken(data)
		if err != nil {
			return nil, fmt.Errorf("read token %s: %w", id, err)
		}
		all = append(all, t.token())
	}
	slices.SortStableFunc(all, func(a, b Token) int { return a.Created.Compare(b.Created) })
	return all, err
}

// Withdraw revokes a token, which is gone when it returns. Errors: ErrNone.
func (r *Roster) Withdraw(ctx context.Context, id, by string) error {
	if err := checkID(id); err != nil {
		return err
	}
	return r.change(ctx, func(head git.Hash) (git.Revision, error) {
		data, err := r.read(head, kindToken, id)
		if err != nil {
			return git.Revision{}, fmt.Errorf("token %s: %w", id, err)
		}
		name := "unreadable"
		if t, err := decodeToken(data); err == nil { // a damaged one can be revoked, too
			name = t.Name
		}
		subject := fmt.Sprintf("token %s (%s): revoked by %s", id, name, actor(by))
		return git.Revision{Subject: subject, Files: []git.FileEdit{edit(kindToken, id, nil)}}, nil
	})
}

// Token is the token of an id as long as it is good, or ErrRefused. That somebody has
// its secret was seen before.
func (r *Roster) Token(_ context.Context, id string) (Token, error) {
	if checkID(id) != nil {
		return Token{}, ErrRefused
	}
	head, err := r.head()
	if err != nil {
		return Token{}, fmt.Errorf("look up token: %w", err)
	}
	data, err := r.read(head, kindToken, id)
	if errors.Is(err, ErrNone) {
		return Token{}, ErrRefused
	}
	if err != nil {
		return Token{}, fmt.Errorf("look up token: %w", err)
	}
	t, err := decodeToken(data)
	if err != nil {
		return Token{}, fmt.Errorf("look up token: %w", err)
	}
	if t.ID != id || !t.Expires.IsZero() && !r.now().Before(t.Expires) {
		return Token{}, ErrRefused
	}
	return t.token(), nil
}

// Check returns the token that a secret opens, or ErrRefused.
func (r *Roster) Check(_ context.Context, secret string) (Token, error) {
	id, err := idOf(TokenPrefix, secret)
	if err != nil {
		return Token{}, ErrRefused
	}
	head, err := r.head()
	if err != nil {
		return Token{}, fmt.Errorf("check token: %w", err)
	}
	data, err := r.read(head, kindToken, id)
	if errors.Is(err, ErrNone) {
		opens("", secret) // takes the time that a known one takes
		return Token{}, ErrRefused
	}
	if err != nil {
		return Token{}, fmt.Errorf("check token: %w", err)
	}
	t, err := decodeToken(data)
	if err != nil {
		return Token{}, fmt.Errorf("check token: %w", err)
	}
	if !opens(t.Hash, secret) || t.ID != id || !t.Expires.IsZero() && !r.now().Before(t.Expires) {
		return Token{}, ErrRefused
	}
	return t.token(), nil
}
