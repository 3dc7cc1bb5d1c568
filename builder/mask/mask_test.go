package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestVariants(t *testing.T) {
	const (
		token = `tok/en+with "odd" <chars> & it's 'q'`
		key   = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n+/AASCBKcwggSjAgEAAoIBAQC\n-----END KEY-----"
		doc   = `{"user": "builder@host.example", "password": "hunter2\nhunter3", "id": 1234567890, "port": 443}`
	)
	wrap := func(s string, width int, ending string) string {
		var b strings.Builder
		for ; len(s) > width; s = s[width:] {
			b.WriteString(s[:width] + ending)
		}
		return b.String() + s
	}
	marshal := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	base := base64.StdEncoding.EncodeToString
	tests := []struct{ name, secret, text, want string }{
		{"raw", token, "a " + token + " b", "a *** b"},
		{"blanks around are not secret", "\n " + token + "\n", "x\n" + token + "\n", "x\n***\n"},
		{"twice", token, token + token, "***"},
		{"crlf", key, strings.ReplaceAll(key, "\n", "\r\n"), "***"},
		{"lf of crlf", strings.ReplaceAll(key, "\n", "\r\n"), key, "***"},
		{"single line", key, "+ MIIEvQIBADANBgkqhkiG9w0BAQEF", "+ ***"},
		{"newlines as blanks", key, "echo " + strings.ReplaceAll(key, "\n", " "), "echo ***"},
		{"newlines escaped", key, strings.ReplaceAll(key, "\n", `\n`), "***"},
		{"json", token, marshal(token), `"***"`},
		{"json without html escapes", token, strings.ReplaceAll(token, `"`, `\"`), "***"},
		{"json leaf", doc, "user builder@host.example, id 1234567890, port 443", "user ***, id ***, port 443"},
		{"json leaf with newline", doc, "hunter2\nhunter3", "***"},
		{"json leaf encoded", doc, hex.EncodeToString([]byte("builder@host.example")), "***"},
		{"url query", token, "?t=" + url.QueryEscape(token), "?t=***"},
		{"url query lower case", token, "?t=" + lowerPercent(url.QueryEscape(token)), "?t=***"},
		{"url path", token, "/" + url.PathEscape(token), "/***"},
		{"url component", token, strings.ReplaceAll(url.QueryEscape(token), "+", "%20"), "***"},
		{"hex", token, hex.EncodeToString([]byte(token)), "***"},
		{"hex upper case", token, strings.ToUpper(hex.EncodeToString([]byte(token))), "***"},
		{"hex wrapped", key, wrap(hex.EncodeToString([]byte(key)), 60, "\n"), "***"},
		{"shell", token, "+ echo '" + strings.ReplaceAll(token, "'", `'\''`) + "'", "+ echo '***'"},
		{"html", token, html.EscapeString(token), "***"},
		{"base64", token + "0", base([]byte(token + "0")), "***A=="},
		{"base64 alignment 1", token, base([]byte("x" + token + "y")), "eH***3k="},
		{"base64 alignment 2", token, base([]byte("xy" + token)), "eHl***c="},
		{"base64 url", "?????>>>>>~~~", base64.URLEncoding.EncodeToString([]byte("?????>>>>>~~~")), "***g=="},
		{"base64 wrapped at 64", key, wrap(base([]byte(key)), 64, "\n"), "***0="},
		{"base64 wrapped at 76, crlf", key, wrap(base([]byte(key)), 76, "\r\n"), "***0="},
		{"base64 wrapped in a document", token, wrap(base([]byte(strings.Repeat("-", 36)+token)), 64, "\n"),
			strings.Repeat("LS0t", 12) + "***"},
		{"base64 wrapped right after its start", token, wrap(base([]byte(strings.Repeat("-", 45)+token)), 64, "\n"),
			strings.Repeat("LS0t", 15) + "dG9r\nL2Vu***"},
		{"overlap", "abcdefghabcdefgh", "abcdefghabcdefghabcdefgh", "***"},
		{"not the secret", token, token[:len(token)-1], token[:len(token)-1]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := New(map[string]string{"s": tt.secret})
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{1, 7, len(tt.text)} {
				got := string(masked(t, m, []byte(tt.text), []int{size}))
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("chunks of %d of %q (-want +got):\n%s", size, tt.text, diff)
				}
			}
		})
	}
}

// The beginning of one secret may be the beginning of another's line.
func TestWrappedWithinAnotherSecret(t *testing.T) {
	const plain = "correct horse battery staple"
	encoded := base64.StdEncoding.EncodeToString([]byte(plain))
	m, err := New(map[string]string{"a": plain, "b": "key=" + encoded[:20] + "!"})
	if err != nil {
		t.Fatal(err)
	}
	text := "key=" + encoded[:16] + "\n" + encoded[16:]
	if got, want := m.String(text), "key=***Q=="; got != want {
		t.Errorf("String(%q) = %q, want %q", text, got, want)
	}
}

func TestShortSecretIsRefused(t *testing.T) {
	for _, value := range []string{"", "1234567", " 1234567\n", "        "} {
		_, err := New(map[string]string{"fine": "long enough", "deploy_key": value})
		if err == nil || !strings.Contains(err.Error(), "deploy_key") {
			t.Errorf("New(deploy_key=%q): error %v, want one that names deploy_key", value, err)
		}
		if err != nil && strings.Contains(err.Error(), "1234567") {
			t.Errorf("New(deploy_key=%q): error %q tells the value", value, err)
		}
	}
}

func TestWithKeepsOldSecrets(t *testing.T) {
	old, err := New(map[string]string{"a": "first secret"})
	if err != nil {
		t.Fatal(err)
	}
	both, err := old.With(map[string]string{"a": "second secret"})
	if err != nil {
		t.Fatal(err)
	}
	const text = "first secret, second secret"
	if got, want := both.String(text), "***, ***"; got != want {
		t.Errorf("With: String(%q) = %q, want %q", text, got, want)
	}
	if got, want := old.String(text), "***, second secret"; got != want {
		t.Errorf("the Masker before With: String(%q) = %q, want %q", text, got, want)
	}
}

// Only what may become a secret waits: a prompt that cannot is seen at once.
func TestHoldsBackNoMoreThanNeeded(t *testing.T) {
	m, err := New(map[string]string{"a": "Xsecret-Xsecond"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := m.Writer(&out)
	for _, step := range []struct{ write, seen string }{
		{"Continue? ", "Continue? "},
		{"Xsecret-", "Continue? "},
		{"Xsec!", "Continue? Xsecret-Xsec!"},
		{"Xsecret-Xsecond", "Continue? Xsecret-Xsec!***"},
		{"\n", "Continue? Xsecret-Xsec!***\n"},
	} {
		if _, err := w.Write([]byte(step.write)); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != step.seen {
			t.Errorf("after %q: passed on %q, want %q", step.write, got, step.seen)
		}
	}
}

func TestWriterReportsErrors(t *testing.T) {
	m, err := New(map[string]string{"a": "a long secret"})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk full")
	w := m.Writer(failing{broken})
	if _, err := w.Write([]byte("hello\n")); !errors.Is(err, broken) {
		t.Errorf("Write = %v, want %v", err, broken)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("Close = %v, want %v", err, broken)
	}
	var out bytes.Buffer
	truncated := m.Writer(iotest.TruncateWriter(&out, 3))
	if _, err := truncated.Write([]byte("hello\n")); err != nil || out.String() != "hel" {
		t.Errorf("Write = %v, passed on %q", err, out.String())
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestMaskerDoesNotPrintSecrets(t *testing.T) {
	m, err := New(map[string]string{"a": "a long secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, m); strings.Contains(got, "long") {
			t.Errorf("Sprintf(%q) = %s", verb, got)
		}
	}
}

func TestNoSecretsCopyNothing(t *testing.T) {
	m, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("as it is")
	same := &sameSlice{want: &text[0]}
	if _, err := m.Writer(same).Write(text); err != nil || !same.ok {
		t.Errorf("Write: error %v, same slice passed on: %v", err, same.ok)
	}
}

type sameSlice struct {
	want *byte
	ok   bool
}

func (s *sameSlice) Write(p []byte) (int, error) {
	s.ok = &p[0] == s.want
	return len(p), nil
}
