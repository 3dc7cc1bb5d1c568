package dispatch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nkeys"
)

// Keys are a builder's identity: an nkey (ed25519) by which the architect knows
// its connection, and a curve key (x25519) to which secrets are sealed. They are
// made on the builder's machine and only their public halves leave it.
type Keys struct {
	user, curve             nkeys.KeyPair
	userPublic, curvePublic string
	userSeed, curveSeed     string
}

// NewKeys makes keys of a builder that is new.
func NewKeys() (*Keys, error) {
	user, err1 := nkeys.CreateUser()
	curve, err2 := nkeys.CreateCurveKeys()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	return keysOf(user, curve)
}

// UserKeys are those of a user of NATS to whom nothing is sealed: the architect
// on a cluster. The text is the seed, SU…, alone or as nk writes it, on a line of
// its own among others. Errors do not repeat it.
func UserKeys(text string) (*Keys, error) {
	seed := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "SU") && seed == "" {
			seed = line
		}
	}
	user, err := userOf(seed)
	if err != nil {
		return nil, fmt.Errorf("read the seed of a NATS user: %w", err)
	}
	curve, err := nkeys.CreateCurveKeys()
	if err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	return keysOf(user, curve)
}

func userOf(seed string) (nkeys.KeyPair, error) {
	user, err := nkeys.FromSeed([]byte(seed))
	if err == nil {
		err = nkeys.CompatibleKeyPair(user, nkeys.PrefixByteUser)
	}
	return user, err
}

// ParseKeys reads what Seeds returned. Its errors do not repeat the seeds.
func ParseKeys(seed, curveSeed string) (*Keys, error) {
	user, err := userOf(seed)
	if err != nil {
		return nil, fmt.Errorf("read the builder's key: %w", err)
	}
	curve, err := nkeys.FromCurveSeed([]byte(curveSeed))
	if err != nil {
		return nil, fmt.Errorf("read the builder's curve key: %w", err)
	}
	return keysOf(user, curve)
}

func keysOf(user, curve nkeys.KeyPair) (*Keys, error) {
	k := &Keys{user: user, curve: curve}
	seed, err1 := user.Seed()
	curveSeed, err2 := curve.Seed()
	k.userSeed, k.curveSeed = string(seed), string(curveSeed)
	var err3, err4 error
	k.userPublic, err3 = user.PublicKey()
	k.curvePublic, err4 = curve.PublicKey()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return k, nil
}

// Public is the identity that the architect registers: "U…", 56 characters.
func (k *Keys) Public() string { return k.userPublic }

// Curve is the public key that secrets are sealed to: "X…", 56 characters.
func (k *Keys) Curve() string { return k.curvePublic }

// Seeds are the secret halves, for a file that nobody else can read.
func (k *Keys) Seeds() (seed, curve string) { return k.userSeed, k.curveSeed }

// Seal encrypts what the builder keeps for itself: only the holder of these keys
// can read it, or could have made it.
func (k *Keys) Seal(plain []byte) ([]byte, error) {
	sealed, err := k.curve.Seal(plain, k.curvePublic)
	if err != nil {
		return nil, fmt.Errorf("seal with the builder's curve key: %w", err)
	}
	return sealed, nil
}

// Open is Seal's other side. What was altered is an error.
func (k *Keys) Open(sealed []byte) ([]byte, error) {
	plain, err := k.curve.Open(sealed, k.curvePublic)
	if err != nil {
		return nil, fmt.Errorf("open with the builder's curve key: %w", err)
	}
	return plain, nil
}

// ValidPublic tells whether s can be a builder's public key.
func ValidPublic(s string) bool { return nkeys.IsValidPublicUserKey(s) }

// ValidCurve tells whether s can be a builder's public curve key.
func ValidCurve(s string) bool { return nkeys.IsValidPublicCurveKey(s) }

// A Signer is the architect's key, with which assignments are signed. It opens no
// connection: it is of another kind than a builder's, and neither passes for the
// other.
type Signer struct {
	pair   nkeys.KeyPair
	public string
	seed   string
}

// NewSigner makes the key of an architect that is new.
func NewSigner() (*Signer, error) {
	pair, err := nkeys.CreateAccount()
	if err != nil {
		return nil, fmt.Errorf("make the architect's key: %w", err)
	}
	return signerOf(pair)
}

// ParseSigner reads what Seed returned. Its errors do not repeat the seed.
func ParseSigner(seed string) (*Signer, error) {
	pair, err := nkeys.FromSeed([]byte(seed))
	if err == nil {
		err = nkeys.CompatibleKeyPair(pair, nkeys.PrefixByteAccount)
	}
	if err != nil {
		return nil, fmt.Errorf("read the architect's key: %w", err)
	}
	return signerOf(pair)
}

func signerOf(pair nkeys.KeyPair) (*Signer, error) {
	public, err1 := pair.PublicKey()
	seed, err2 := pair.Seed()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("read the architect's key: %w", err)
	}
	return &Signer{pair: pair, public: public, seed: string(seed)}, nil
}

// Public is what builders keep to know the architect's signature by: "A…", 56
// characters.
func (s *Signer) Public() string { return s.public }

// Seed is the secret half, for a file that nobody else can read.
func (s *Signer) Seed() string { return s.seed }
