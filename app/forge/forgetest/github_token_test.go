package forgetest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// jwt makes a JSON web token by hand.
func jwt(t *testing.T, g *GitHub, algorithm string, claims object) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	header, err := json.Marshal(object{"alg": algorithm, "typ": "JWT"})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := encode(header) + "." + encode(body)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, g.App(t).Key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	switch algorithm {
	case "none":
		signature = nil
	case "HS256": // with the public key, which is the classic
		m := hmac.New(sha256.New, g.App(t).Key.N.Bytes())
		m.Write([]byte(signed))
		signature = m.Sum(nil)
	}
	return signed + "." + encode(signature)
}

func TestAJWTHasToBeTheApps(t *testing.T) {
	t.Parallel()
	g, _, _, _ := yard(t, GitHubOptions{})
	app, now := g.App(t), time.Now().Unix()
	good := object{"iss": app.ID, "iat": now - 30, "exp": now + 90}
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"good":          {jwt(t, g, "RS256", good), http.StatusOK},
		"number":        {jwt(t, g, "RS256", with(good, "iss", "12")), http.StatusUnauthorized},
		"client id":     {jwt(t, g, "RS256", with(good, "iss", app.ClientID)), http.StatusOK},
		"unsigned":      {jwt(t, g, "none", good), http.StatusUnauthorized},
		"HMAC":          {jwt(t, g, "HS256", good), http.StatusUnauthorized},
		"odd algorithm": {jwt(t, g, "RS384", good), http.StatusUnauthorized},
		"of the future": {jwt(t, g, "RS256", with(good, "iat", now+60)), http.StatusUnauthorized},
		"for too long":  {jwt(t, g, "RS256", with(good, "exp", now+900)), http.StatusUnauthorized},
		"expired":       {jwt(t, g, "RS256", with(good, "exp", now-1)), http.StatusUnauthorized},
		"without end":   {jwt(t, g, "RS256", object{"iss": app.ID, "iat": now}), http.StatusUnauthorized},
		"with a part":   {jwt(t, g, "RS256", with(good, "iat", float64(now)-0.5)), http.StatusUnauthorized},
		"changed":       {jwt(t, g, "RS256", good) + "x", http.StatusUnauthorized},
		"none":          {"", http.StatusUnauthorized},
	} {
		if resp, answer := (raw{t, g, c.token}).do(http.MethodGet, "/app", nil); resp.StatusCode != c.want {
			t.Errorf("%s: %d, %v", name, resp.StatusCode, answer)
		}
	}
	g.Skew(5 * time.Minute)
	resp, _ := (raw{t, g, ""}).do(http.MethodGet, "/meta", nil)
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if ahead := time.Until(date); err != nil || ahead < 4*time.Minute || ahead > 6*time.Minute {
		t.Errorf("GitHub's date is ahead by %s, %v", ahead, err)
	}
}
