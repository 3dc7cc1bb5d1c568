package hooks

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// A Secret is what a forge proves itself with. No way of printing shows it: none
// looks into a function. Methods would not do, as fmt calls none of what is a hidden
// part of another struct, and it follows pointers there.
type Secret struct{ value func() []byte }

func (s Secret) bytes() []byte {
	if s.value == nil {
		return nil
	}
	return s.value()
}

// NewSecret takes a webhook secret of GitHub or a token of GitLab. An empty one is an
// error: with it everybody could sign.
func NewSecret(value string) (Secret, error) {
	if strings.TrimSpace(value) == "" {
		return Secret{}, errors.New("webhook secret: it is empty, and everybody could sign with it")
	}
	return Secret{value: func() []byte { return []byte(value) }}, nil
}

// keyPrefix marks a signing key; smallestKey is how many bytes one has at least.
// Source: Standard Webhooks.
const (
	keyPrefix   = "whsec_"
	smallestKey = 24
)

// ParseSigningKey reads a signing key as GitLab shows it: whsec_ and base64.
func ParseSigningKey(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	if !ok {
		return Secret{}, fmt.Errorf("webhook signing key: it does not begin with %s", keyPrefix)
	}
	value, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil { // its text would tell a part of the key
		return Secret{}, fmt.Errorf("webhook signing key: what follows %s is no base64", keyPrefix)
	}
	if len(value) < smallestKey {
		return Secret{}, fmt.Errorf("webhook signing key: it has %d bytes, and %d are the least", len(value), smallestKey)
	}
	return Secret{value: func() []byte { return value }}, nil
}

// noneEmpty looks for a secret that was made by nobody.
func noneEmpty(secrets []Secret) error {
	for _, s := range secrets {
		if len(s.bytes()) == 0 {
			return errors.New("a webhook secret is empty, and everybody could sign with it")
		}
	}
	return nil
}
