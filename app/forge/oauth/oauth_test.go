package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// forgeThat is a client of a forge that answers exchanges in one way.
func forgeThat(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return New(Options{
		ID: "app", Secret: "hush", Authorize: s.URL + "/authorize", Exchange: s.URL + "/token", Callback: "https://ci.example.com/back",
		Scopes: []string{"read"}, Transport: s.Client().Transport, Now: func() time.Time { return noon },
	})
}

// People are sent with a challenge, of which the verifier stays here.
func TestAddress(t *testing.T) {
	c := forgeThat(t, func(http.ResponseWriter, *http.Request) {})
	at, err := url.Parse(c.Address("state", strings.Repeat("v", 43)))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"client_id": {"app"}, "redirect_uri": {"https://ci.example.com/back"}, "response_type": {"code"}, "scope": {"read"}, "state": {"state"},
		"code_challenge_method": {"S256"},
	}
	got := at.Query()
	want["code_challenge"] = got["code_challenge"]
	if got.Encode() != want.Encode() || len(got.Get("code_challenge")) != 43 || strings.Contains(at.String(), "vvv") {
		t.Errorf("the address is %s", at)
	}
}

// A code is sent once, whatever comes of it, and no error tells it, the secret or
// what a forge wrote around it.
func TestExchange(t *testing.T) {
	text := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	const form, object = "application/x-www-form-urlencoded", "application/json"
	for what, c := range map[string]struct {
		answer  http.HandlerFunc
		token   string
		lives   time.Duration
		refused bool
	}{
		"GitHub's token":    {text(200, form, "access_token=T&expires_in=28800&token_type=bearer&scope="), "T", 8 * time.Hour, false},
		"GitLab's token":    {text(200, object, `{"access_token":"T","expires_in":7200,"token_type":"Bearer"}`), "T", 2 * time.Hour, false},
		"one that lasts":    {text(200, form, "access_token=T&token_type=bearer"), "T", 0, false},
		"GitHub's refusal":  {text(200, form, "error=bad_verification_code"), "", 0, true},
		"GitLab's refusal":  {text(400, object, `{"error":"invalid_grant"}`), "", 0, true},
		"our own mistake":   {text(401, object, `{"error":"invalid_client","error_description":"CODE7 hush"}`), "", 0, false},
		"a page of a proxy": {text(502, "text/html", "<html>CODE7 hush</html>"), "", 0, false},
		"nothing":           {text(200, object, "{}"), "", 0, false},
		"what is no JSON":   {text(200, object, "CODE7"), "", 0, false},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/token", http.StatusTemporaryRedirect)
		}, "", 0, false},
		"a broken connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", 0, false},
	} {
		var asked atomic.Int32
		client := forgeThat(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.PostFormValue("code") != "CODE7" || r.PostFormValue("client_secret") != "hush" || r.PostFormValue("code_verifier") != "verifier" || r.URL.RawQuery != "" {
				t.Errorf("%s: sent %v, %q", what, r.PostForm, r.URL.RawQuery)
			}
			c.answer(w, r)
		})
		got, err := client.Exchange(t.Context(), "CODE7", "verifier")
		if got.Token != c.token || (err == nil) != (c.token != "") || errors.Is(err, ErrRefused) != c.refused || asked.Load() != 1 {
			t.Errorf("%s: %q, %v, asked %d times; want %q, refused %t", what, got.Token, err, asked.Load(), c.token, c.refused)
		}
		if lives := got.Until.Sub(noon).Round(time.Minute); c.lives != 0 && lives != c.lives || c.lives == 0 && !got.Until.IsZero() {
			t.Errorf("%s: it lives until %s; want %s", what, got.Until, c.lives)
		}
		if err != nil && (strings.Contains(err.Error(), "CODE7") || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%s: the error tells too much: %v", what, err)
		}
	}
	never := forgeThat(t, func(http.ResponseWriter, *http.Request) { t.Error("the forge is asked") })
	for _, code := range []string{"", strings.Repeat("x", maxCode+1)} {
		if _, err := never.Exchange(t.Context(), code, "verifier"); !errors.Is(err, ErrRefused) {
			t.Errorf("a code of %d bytes: %v", len(code), err)
		}
	}
}

// Nothing prints a secret.
func TestNothingPrintsSecrets(t *testing.T) {
	o := Options{ID: "app", Secret: "hush"}
	if got := fmt.Sprintf("%v %+v %#v %s %v", o, &o, o, New(o), Grant{Token: "hush"}); strings.Contains(got, "hush") {
		t.Errorf("it prints as %s", got)
	}
}
