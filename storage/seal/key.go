package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// keyPrefix begins the text of a key, so that scanners and people know it.
const keyPrefix = "vlk_"

// A Key seals and opens secrets: 256 random bits. Like a Secret it cannot be
// printed. It is kept outside the repository that the sealed secrets are in.
type Key struct{ bytes func() []byte }

// NewKey makes a key.
func NewKey() Key {
	var key [chacha20poly1305.KeySize]byte
	_, _ = rand.Read(key[:]) // it ends the process rather than fail
	return keyOf(key)
}

// ParseKey reads what Text wrote. Its errors do not repeat the text.
func ParseKey(text string) (Key, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	if !ok {
		return Key{}, errors.New("a key for secrets begins with " + keyPrefix)
	}
	var key [chacha20poly1305.KeySize]byte
	data, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || len(data) != len(key) {
		return Key{}, fmt.Errorf("the key for secrets is not %d bytes in base64: it was not copied whole", len(key))
	}
	copy(key[:], data)
	return keyOf(key), nil
}

func keyOf(key [chacha20poly1305.KeySize]byte) Key {
	return Key{bytes: func() []byte { return key[:] }}
}

// ID tells a key from others, and does not tell it: its values are random.
func (k Key) ID() string {
	sum := sha256.Sum256(append([]byte("velocity key for secrets\x00"), k.bytes()...))
	return hex.EncodeToString(sum[:8])
}

// Text is the key for a file that nobody else can read.
func (k Key) Text() string { return keyPrefix + base64.RawURLEncoding.EncodeToString(k.bytes()) }

// Format implements fmt.Formatter: no verb tells the key.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// seal encrypts a value under what it must be found with.
func (k Key) seal(value Secret, under []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(k.bytes())
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(value.Reveal())+aead.Overhead())
	_, _ = rand.Read(nonce)
	return aead.Seal(nonce, nonce, []byte(value.Reveal()), under), nil
}

// open is seal's other side. Errors: ErrUnopened.
func (k Key) open(sealed, under []byte) (Secret, error) {
	aead, err := chacha20poly1305.NewX(k.bytes())
	if err != nil {
		return Secret{}, err
	}
	if len(sealed) < aead.NonceSize() {
		return Secret{}, ErrUnopened
	}
	value, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], under)
	if err != nil {
		return Secret{}, ErrUnopened
	}
	return NewSecret(value), nil
}
