package client_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/client"
)

func TestParseServer(t *testing.T) {
	for text, want := range map[string]string{
		"https://CI.example.com/":    "https://ci.example.com",
		"https://ci.example.com/ci/": "https://ci.example.com/ci",
		"http://127.0.0.1:8080":      "http://127.0.0.1:8080",
		"http://[::1]:8080":          "http://[::1]:8080",
		"http://localhost":           "http://localhost",
		"http://ci.example.com":      "",
		"http://127.0.0.1.evil.com":  "",
		"http://localhost.evil.com":  "",
		"http://0.0.0.0":             "",
		"https://ann:x@ci.example":   "",
		"ftp://ci.example.com":       "",
		"ci.example.com":             "",
		"https:ci.example.com":       "",
		"https://ci.example.com?a=b": "",
		"--server":                   "",
		"":                           "",
	} {
		u, err := client.ParseServer(text)
		got := ""
		if err == nil {
			got = u.String()
		}
		if got != want {
			t.Errorf("ParseServer(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}

// A token is for the server it was given to: a redirect does not carry it on, and
// is not followed at all.
func TestRedirectIsRefused(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked elsewhere") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	u, err := client.ParseServer(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Remote(u, nil, "vla_secret", "").Tokens(t.Context()); err == nil || !strings.Contains(err.Error(), "use that address if you trust it") {
		t.Errorf("redirected: %v", err)
	}
}

// What answers in the place of a server is named, with where it was asked.
func TestAnswerOfSomebodyElse(t *testing.T) {
	proxy := httptest.NewServer(http.NotFoundHandler())
	defer proxy.Close()
	u, err := client.ParseServer(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Remote(u, nil, "vla_x", "").Self(t.Context())
	if err == nil || !strings.Contains(err.Error(), proxy.URL+"/api/v1/self: 404 Not Found: this is no Velocity server") {
		t.Errorf("Self = %v; want an error that names the address", err)
	}
}
