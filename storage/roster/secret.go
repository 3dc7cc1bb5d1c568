package roster

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

// Secrets look like vla_<id><random><sum>: a prefix by which scanners find them,
// a public id, 256 random bits, and a checksum that tells a typing mistake from a
// secret that is unknown.
const (
	RegistrationPrefix = "vlr_" // registers one builder
	TokenPrefix        = "vla_" // asks the API

	idLength     = 12 // 71 bits
	randomLength = 43 // 256 bits
	sumLength    = 6  // a CRC-32
)

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newSecret makes a secret of a kind.
func newSecret(prefix string) (secret, id string, err error) {
	var b strings.Builder
	b.WriteString(prefix)
	base := big.NewInt(int64(len(digits)))
	for range idLength + randomLength {
		n, err := rand.Int(rand.Reader, base)
		if err != nil {
			return "", "", fmt.Errorf("make a secret: %w", err)
		}
		b.WriteByte(digits[n.Int64()])
	}
	body := b.String()
	return body + sum(body), body[len(prefix):][:idLength], nil
}

// sum is the checksum of a secret's other characters.
func sum(body string) string {
	n := crc32.ChecksumIEEE([]byte(body))
	text := [sumLength]byte{}
	for i := sumLength - 1; i >= 0; i-- {
		text[i] = digits[n%uint32(len(digits))]
		n /= uint32(len(digits))
	}
	return string(text[:])
}

// CheckForm reports whether text has the form of a secret with this prefix, so
// that a mistake in typing or copying is told before anybody is asked.
func CheckForm(prefix, text string) error {
	_, err := idOf(prefix, text)
	return err
}

// idOf is the public part of a secret of the right form. Errors do not repeat
// the secret.
func idOf(prefix, text string) (string, error) {
	body, ok := strings.CutPrefix(text, prefix)
	switch {
	case !ok:
		return "", fmt.Errorf("a token of this kind begins with %s", prefix)
	case len(body) != idLength+randomLength+sumLength:
		return "", fmt.Errorf("the token has %d characters, not %d: it was not copied whole, or more than it",
			len(text), len(prefix)+idLength+randomLength+sumLength)
	case strings.Trim(body, digits) != "" || sum(text[:len(text)-sumLength]) != text[len(text)-sumLength:]:
		return "", errors.New("the token was not copied rightly: its checksum is wrong")
	}
	return body[:idLength], nil
}

// checkID accepts the public part of a secret.
func checkID(id string) error {
	if len(id) != idLength || strings.Trim(id, digits) != "" {
		return fmt.Errorf("token %.40q: %w", id, ErrNone)
	}
	return nil
}

// hash is what is stored of a secret. It has 256 random bits: no salt and no slow
// function would make it harder to guess.
func hash(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}

// opens reports whether a secret has the stored hash, in a time that does not
// depend on either.
func opens(stored, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(stored), []byte(hash(secret))) == 1
}
