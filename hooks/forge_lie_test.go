package hooks

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lies is how many forged requests of each kind are sent: together 10,000 and more.
const lies = 300

// A lie makes a request of a forge into one that nobody could have sent who does not
// know the secret.
type lie struct {
	name   string
	change func(r *http.Request, body []byte, random *rand.Rand) []byte
}

func withHeader(name string, value func(old string, random *rand.Rand) string) func(*http.Request, []byte, *rand.Rand) []byte {
	return func(r *http.Request, body []byte, random *rand.Rand) []byte {
		r.Header.Set(name, value(r.Header.Get(name), random))
		return body
	}
}

func without(name string) func(*http.Request, []byte, *rand.Rand) []byte {
	return func(r *http.Request, body []byte, _ *rand.Rand) []byte {
		r.Header.Del(name)
		return body
	}
}

// flip changes one character behind skip into another of the alphabet.
func flip(skip int, alphabet string) func(string, *rand.Rand) string {
	return func(old string, random *rand.Rand) string {
		at := skip + random.IntN(len(old)-skip)
		for {
			c := alphabet[random.IntN(len(alphabet))]
			if c != old[at] {
				return old[:at] + string(c) + old[at+1:]
			}
		}
	}
}

func longer(_ *http.Request, body []byte, random *rand.Rand) []byte {
	return append(bytes.Clone(body), byte(random.IntN(256)))
}

func shorter(_ *http.Request, body []byte, random *rand.Rand) []byte {
	return body[:random.IntN(len(body))]
}

func mutated(_ *http.Request, body []byte, random *rand.Rand) []byte {
	body = bytes.Clone(body)
	body[random.IntN(len(body))] ^= 1 << random.IntN(8)
	return body
}

func zipped(_ *http.Request, body []byte, _ *rand.Rand) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body)
	_ = w.Close()
	return out.Bytes()
}

const hexDigits = "0123456789abcdef"

var hubLies = []lie{
	{"no signature", without("X-Hub-Signature-256")},
	{"SHA-1 only", func(r *http.Request, body []byte, random *rand.Rand) []byte {
		r.Header.Set("X-Hub-Signature", "sha1="+strings.Repeat("0", 40))
		return without("X-Hub-Signature-256")(r, body, random)
	}},
	{"SHA-1 under the new name", withHeader("X-Hub-Signature-256", func(old string, _ *rand.Rand) string { return "sha1=" + old[7:47] })},
	{"wrong digit", withHeader("X-Hub-Signature-256", flip(7, hexDigits))},
	{"cut signature", withHeader("X-Hub-Signature-256", func(old string, random *rand.Rand) string { return old[:random.IntN(len(old))] })},
	{"other secret", func(r *http.Request, body []byte, random *rand.Rand) []byte {
		r.Header.Set("X-Hub-Signature-256", hubSign(testSecret+string(rune('a'+random.IntN(26))), body))
		return body
	}},
	{"empty secret", func(r *http.Request, body []byte, _ *rand.Rand) []byte {
		r.Header.Set("X-Hub-Signature-256", hubSign("", body))
		return body
	}},
	{"two headers", func(r *http.Request, body []byte, _ *rand.Rand) []byte {
		r.Header.Add("X-Hub-Signature-256", hubSign("", body))
		return body
	}},
	{"longer body", longer}, {"shorter body", shorter}, {"mutated body", mutated}, {"gzip body", zipped},
	{"gzip body that is said to be", func(r *http.Request, body []byte, random *rand.Rand) []byte {
		r.Header.Set("Content-Encoding", "gzip")
		body = zipped(r, body, random)
		r.Header.Set("X-Hub-Signature-256", hubSign(testSecret, body))
		return body
	}},
	{"the token of GitLab", func(r *http.Request, body []byte, random *rand.Rand) []byte {
		r.Header.Set("X-Gitlab-Token", testSecret)
		return without("X-Hub-Signature-256")(r, body, random)
	}},
}

var tokenLies = []lie{
	{"no token", without("X-Gitlab-Token")},
	{"empty token", withHeader("X-Gitlab-Token", func(string, *rand.Rand) string { return "" })},
	{"wrong letter", withHeader("X-Gitlab-Token", flip(0, "abcdefghijk "))},
	{"cut token", withHeader("X-Gitlab-Token", func(old string, random *rand.Rand) string { return old[:random.IntN(len(old))] })},
	{"longer token", withHeader("X-Gitlab-Token", func(old string, random *rand.Rand) string { return old + strconv.Itoa(random.Int()) })},
	{"two tokens", func(r *http.Request, body []byte, _ *rand.Rand) []byte {
		r.Header.Add("X-Gitlab-Token", "another")
		return body
	}},
	{"a form", withHeader("Content-Type", func(string, *rand.Rand) string { return "application/x-www-form-urlencoded" })},
}

var signedLies = []lie{
	{"the token alone", func(r *http.Request, body []byte, random *rand.Rand) []byte {
		r.Header.Set("X-Gitlab-Token", testSecret)
		return without("Webhook-Signature")(r, body, random)
	}},
	{"the token and a wrong signature", func(r *http.Request, body []byte, random *rand.Rand) []byte {
		r.Header.Set("X-Gitlab-Token", testSecret)
		return mutated(r, body, random)
	}},
	{"no id", without("Webhook-Id")},
	{"no timestamp", without("Webhook-Timestamp")},
	{"other id", withHeader("Webhook-Id", flip(0, hexDigits))},
	{"other timestamp", withHeader("Webhook-Timestamp", func(_ string, random *rand.Rand) string {
		return strconv.FormatInt(testNow.Unix()+1+random.Int64N(299), 10)
	})},
	{"parts shifted", func(r *http.Request, body []byte, _ *rand.Rand) []byte {
		r.Header.Set("Webhook-Id", r.Header.Get("Webhook-Id")+"."+r.Header.Get("Webhook-Timestamp"))
		return body
	}},
	{"replayed too late", func(r *http.Request, body []byte, random *rand.Rand) []byte {
		*r = *labSigned("Push Hook", "a", testNow.Add(-clockSkew-time.Second-time.Duration(random.Int64N(1e15))), body)
		return body
	}},
	{"from the future", func(r *http.Request, body []byte, random *rand.Rand) []byte {
		*r = *labSigned("Push Hook", "a", testNow.Add(clockSkew+time.Second+time.Duration(random.Int64N(1e15))), body)
		return body
	}},
	{"other version", withHeader("Webhook-Signature", func(old string, _ *rand.Rand) string { return "v2," + old[3:] })},
	{"wrong letter", withHeader("Webhook-Signature", flip(3, "ABCDEFGHIJKLMNOP"))},
	{"other key", func(r *http.Request, body []byte, _ *rand.Rand) []byte {
		r.Header.Set("Webhook-Signature", labSign(testSecret, r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), body))
		return body
	}},
	{"two signatures in two headers", func(r *http.Request, body []byte, _ *rand.Rand) []byte {
		r.Header.Add("Webhook-Signature", "v1,AAAA")
		return body
	}},
	{"too many signatures", withHeader("Webhook-Signature", func(old string, _ *rand.Rand) string {
		return strings.Repeat("v1,AAAA ", mostSignatures) + old
	})},
	{"longer body", longer}, {"shorter body", shorter}, {"mutated body", mutated}, {"gzip body", zipped},
}

// TestForgeLie sends what nobody signed. Nothing of it may be kept.
func TestForgeLie(t *testing.T) {
	body := []byte(`{"ref":"refs/heads/main","after":"` + one + `","repository":{"id":1}}`)
	inbox := &memory{}
	sides := []struct {
		name string
		h    http.Handler
		good func(n int) *http.Request
		lies []lie
	}{
		{"GitHub", gitHub(t, testReceiver(inbox)), func(n int) *http.Request { return hubPost("push", strconv.Itoa(n), body) }, hubLies},
		{"GitLab with a token", gitLab(t, testReceiver(inbox), false), func(n int) *http.Request { return labPost("Push Hook", strconv.Itoa(n), body) }, tokenLies},
		{"GitLab with a signing key", gitLab(t, testReceiver(inbox), true), func(n int) *http.Request {
			return labSigned("Push Hook", fmt.Sprintf("%032x", n), testNow, body)
		}, signedLies},
	}
	sent, seed := 0, rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, side := range sides {
		if resp := send(side.h, side.good(0)); resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: what is true is answered %s; want 202", side.name, resp.Status)
		}
		before := len(inbox.all())
		for _, lie := range side.lies {
			for n := range lies {
				r := side.good(n)
				forged := lie.change(r, body, random)
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(forged)), int64(len(forged))
				sent++
				if resp := send(side.h, r); resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusUnsupportedMediaType {
					t.Fatalf("%s: %s: answered %s; want 401 or 415", side.name, lie.name, resp.Status)
				}
			}
		}
		if kept := len(inbox.all()) - before; kept > 0 {
			t.Errorf("%s: %d forged deliveries were kept", side.name, kept)
		}
	}
	if sent < 10_000 {
		t.Errorf("%d lies were told; want 10,000 and more", sent)
	}
}
