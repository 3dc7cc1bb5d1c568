package blueprint

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// refusesAddress says why nothing is fetched from the https address in use, and
// the way out, or "". Files of 2019 name addresses without a sum: they load, and
// their tasks are not drawn.
func (v *derived) refusesAddress() (why, hint string) {
	rest, https := strings.CutPrefix(v.Use.Value, "https://")
	host, _, _ := strings.Cut(rest, "/")
	switch {
	case !https || host == "" || strings.ContainsAny(host, "@ \\"):
		return "executables are fetched from https addresses without a user only", urlHint
	case !v.SHA256.Set:
		return "an executable from a URL needs its sha256", "sha256sum FILE prints it; without it nobody knows what would run"
	case !validSum(v.SHA256.Value):
		return "the sha256 of an executable has 64 hex digits in lower case", "sha256sum FILE prints it"
	}
	return "", ""
}

func validSum(s string) bool {
	sum, err := hex.DecodeString(s)
	return err == nil && len(sum) == sha256.Size && s == strings.ToLower(s)
}
