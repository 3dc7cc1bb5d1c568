package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Limits of signatures in the manner of Standard Webhooks.
const (
	clockSkew      = 5 * time.Minute // how far a timestamp may be from our clock, either way
	mostSignatures = 16              // in one header: as many keys as nobody has
)

// signs reports whether sum is the HMAC-SHA256 of the parts with one of the secrets.
// How long it takes tells nothing about which, or how much of it fits.
func signs(secrets []Secret, sum []byte, parts ...[]byte) bool {
	fits := 0
	for _, s := range secrets {
		mac := hmac.New(sha256.New, s.bytes())
		for _, part := range parts {
			mac.Write(part)
		}
		fits |= subtle.ConstantTimeCompare(mac.Sum(nil), sum)
	}
	return fits == 1
}

// isToken reports whether token is one of the secrets. Digests are compared, as a
// comparison of the texts would tell their length.
func isToken(secrets []Secret, token string) bool {
	given := sha256.Sum256([]byte(token))
	fits := 0
	for _, s := range secrets {
		known := sha256.Sum256(s.bytes())
		fits |= subtle.ConstantTimeCompare(known[:], given[:])
	}
	return fits == 1
}

// parseHubSignature reads an X-Hub-Signature-256: "sha256=" and 64 hex digits.
func parseHubSignature(header string) ([]byte, bool) {
	digits, ok := strings.CutPrefix(header, "sha256=")
	if !ok || len(digits) != hex.EncodedLen(sha256.Size) {
		return nil, false
	}
	sum, err := hex.DecodeString(digits)
	return sum, err == nil
}

// parseSignatures reads a webhook-signature: "v1,<base64>" any number of times, with
// spaces between. Those of other versions are for others.
func parseSignatures(header string) ([][]byte, bool) {
	var sums [][]byte
	words := strings.Fields(header)
	if len(words) > mostSignatures {
		return nil, false
	}
	for _, word := range words {
		encoded, ok := strings.CutPrefix(word, "v1,")
		if !ok {
			continue
		}
		sum, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err == nil && len(sum) == sha256.Size {
			sums = append(sums, sum)
		}
	}
	return sums, len(sums) > 0
}

// fresh reports whether a timestamp, in seconds since 1970, is near enough to now
// that what it stands on is no replay.
func fresh(timestamp string, now time.Time) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != timestamp {
		return false
	}
	// Compared as seconds: a distance from year 292277026596 fits no Duration.
	skew := int64(clockSkew / time.Second)
	return now.Unix()-skew <= seconds && seconds <= now.Unix()+skew
}
