package git

import (
	"encoding/hex"
	"fmt"
)

// hexSize is the length of a Hash in hex digits.
const hexSize = 40

// A Hash names one object: the SHA-1 of its type, size and content.
type Hash [hexSize / 2]byte

// Zero names no object: "must not exist" as an old value, "delete" as a new one.
var Zero Hash

// ParseHash accepts 40 hex digits and nothing shorter: an abbreviation that is
// unique today may not be tomorrow. Forty zeros give Zero.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != hexSize {
		return Zero, fmt.Errorf("%.60q is not an object id: want %d hex digits", s, hexSize)
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Zero, fmt.Errorf("%q is not an object id: want %d hex digits", s, hexSize)
	}
	return h, nil
}

// String gives the 40 hex digits, in lower case.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h names no object.
func (h Hash) IsZero() bool { return h == Zero }
