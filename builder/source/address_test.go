package source

import (
	"slices"
	"strings"
	"testing"
)

func TestSubmoduleAddresses(t *testing.T) {
	for _, c := range []struct{ base, text, want string }{
		{"", "https://Git.Example.com:443/a/b.git", "https://git.example.com/a/b.git"},
		{"", "https://git.example.com:8443/a", "https://git.example.com:8443/a"},
		{"", "https://[2001:db8::1]/a", "https://[2001:db8::1]/a"},
		{"", "https://dev.example.com/My%20Project/x", "https://dev.example.com/My%20Project/x"},
		{"", "ssh://git@example.com:22/a.git", "ssh://git@example.com/a.git"},
		{"", "git@example.com:a/b.git", "git@example.com:a/b.git"},
		{"", "example.com:/srv/b.git", "example.com:/srv/b.git"},
		{"https://example.com/team/shop.git", "../lib.git", "https://example.com/team/lib.git"},
		{"https://example.com/team/shop.git/", "./../../other/lib", "https://example.com/other/lib"},
		{"https://example.com/team/shop", "./lib", "https://example.com/team/shop/lib"},
		{"git@example.com:team/shop.git", "../lib.git", "git@example.com:team/lib.git"},
		{"git@example.com:shop.git", "../lib.git", "git@example.com:lib.git"},
		{"ssh://git@example.com:2222/team/shop", "../lib", "ssh://git@example.com:2222/team/lib"},
	} {
		var base address
		if c.base != "" {
			var err error
			if base, err = parseAddress(c.base); err != nil {
				t.Fatalf("%s: %v", c.base, err)
			}
		}
		got, err := resolve(base, c.text)
		if err != nil || got.String() != c.want {
			t.Errorf("resolve(%s, %s) = %s, %v; want %s", c.base, c.text, got, err, c.want)
		}
	}
}

// hostile are addresses of which none may reach git.
var hostile = []string{
	"", "-uhttps://example.com/x", "--upload-pack=touch canary", "-oProxyCommand=touch canary",
	"ext::touch canary", "ext::sh -c touch% canary", "fd::0", "transport::https://example.com/x",
	"file:///srv/git/secret.git", "/srv/git/secret.git", "srv/secret", "http://example.com/x", "git://example.com/x",
	"ftp://example.com/x", "https://example.com", "https://example.com/", "https:///x", "https://-x/y",
	"ssh://-oProxyCommand=touch canary/x", "ssh://-oProxyCommand=touch%20canary/x", "-oProxyCommand=x:y", "-x@example.com:y",
	"git@-oProxyCommand=x:y", "git@example.com:-x", "git@example.com:", "@example.com:x", "ssh://@example.com/x",
	"https://me@example.com/x", "https://me:pass@example.com/x", "ssh://git:pass@example.com/x",
	"https://example.com/../x", "https://example.com/a/%2e%2e/x", "https://example.com/a%0ab", "https://example.com/a\nb",
	"https://example.com/a\rb", "https://example.com/x?y", "https://example.com/x#y", "https://example.com/x?", "https://example.com:/x",
	"https://example.com:0x50/x", "https://example.com\\@evil.example/x", "https://exаmple.com/x", "https://a/\u202eb", "C:\\x",
	"https://ex%61mple.com/x", "https://[fe80::1%25eth0]/x", "./../../../x", "../../../../x", "https://example.com/" + strings.Repeat("x", maxAddress),
}

func TestHostileAddresses(t *testing.T) {
	base, err := parseAddress("https://example.com/team/shop.git")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range hostile {
		if got, err := resolve(base, text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
	if _, err := resolve(address{}, "../lib"); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("a relative address without a base: %v", err)
	}
}

func TestAllowedHosts(t *testing.T) {
	hosts := []string{"Git.Example.org", "git.example.net:8443"}
	for _, c := range []struct {
		top, from string
		want      bool
	}{
		{"https://example.com/a", "https://example.com/b", true},
		{"https://example.com/a", "ssh://git@example.com/b", true},
		{"https://example.com/a", "git@example.com:b", true},
		{"https://example.com:8443/a", "https://example.com:8443/b", true},
		{"https://example.com:8443/a", "https://example.com/b", true},
		{"https://example.com/a", "https://example.com:8443/b", false}, // another service
		{"https://example.com:8443/a", "ssh://example.com:8443/b", false},
		{"https://example.com/a", "https://sub.example.com/b", false},
		{"https://example.com/a", "https://example.com.evil.example/b", false},
		{"https://example.com/a", "https://git.example.org/b", true},
		{"https://example.com/a", "https://git.example.org:8443/b", false},
		{"https://example.com/a", "https://git.example.net:8443/b", true},
		{"https://example.com/a", "https://git.example.net/b", false},
		{"", "https://git.example.org/b", true},
		{"", "https://example.com/b", false},
	} {
		top, _ := parseAddress(c.top)
		from, err := parseAddress(c.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := from.allowed(top, hosts); got != c.want {
			t.Errorf("a submodule of %q from %s is allowed: %t", c.top, c.from, got)
		}
	}
}

func TestAddressHasNoPassword(t *testing.T) {
	for in, want := range map[string]string{
		"https://me:t0ken@example.com/r.git":   "https://example.com/r.git",
		"ssh://git:t0ken@example.com/r.git":    "ssh://git@example.com/r.git",
		"git@example.com:r.git":                "git@example.com:r.git",
		"/srv/r.git":                           "",
		"http://me:t0ken@example.com/r.git":    "",
		"https://me:t0ken@example.com/r\n.git": "",
	} {
		got, err := Address(in)
		if got != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "t0ken") {
			t.Errorf("Address(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestCheckHost(t *testing.T) {
	for text, good := range map[string]bool{
		"github.com": true, "GitHub.com": true, "git.example.com:8443": true, "10.0.0.1": true, "[2001:db8::1]:8443": true,
		"": false, "a/b": false, "https://a": false, "*.example.com": false, "me@a": false, "-a": false, "a:443": false, "a:x": false, "a b": false,
	} {
		if err := CheckHost(text); (err == nil) != good {
			t.Errorf("CheckHost(%q) = %v", text, err)
		}
	}
}

// Whatever is accepted is https or ssh to a plain host, cannot be an option, and
// is read again as the same.
func FuzzSubmoduleAddress(f *testing.F) {
	for _, text := range append(hostile, "https://example.com/x", "git@example.com:x", "ssh://git@example.com:2222/x", "../lib", "./a/../b") {
		f.Add(text)
	}
	bases := []string{"https://example.com/team/shop.git", "git@example.com:shop"}
	f.Fuzz(func(t *testing.T, text string) {
		for _, at := range bases {
			base, err := parseAddress(at)
			if err != nil {
				t.Fatal(err)
			}
			got, err := resolve(base, text)
			if err != nil {
				continue
			}
			shown := got.String()
			if again, err := parseAddress(shown); err != nil || again != got {
				t.Errorf("%q is %+v, and %q is %+v, %v", text, got, shown, again, err)
			}
			if !got.scp && !strings.HasPrefix(shown, "https://") && !strings.HasPrefix(shown, "ssh://") {
				t.Errorf("%q is %q", text, shown)
			}
			option := func(part string) bool { return strings.HasPrefix(part, "-") }
			if option(shown) || option(got.user) || option(got.host) || slices.ContainsFunc(strings.Split(got.path, "/"), option) ||
				got.scp && strings.Contains(shown, "::") || strings.ContainsAny(shown, "\n\r\x00 \\") {
				t.Errorf("%q is %q", text, shown)
			}
		}
	})
}
