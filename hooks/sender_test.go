package hooks

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestSecretsAreNotEmpty(t *testing.T) {
	for _, value := range []string{"", " ", "\n"} {
		if _, err := NewSecret(value); err == nil {
			t.Errorf("NewSecret(%q) is taken", value)
		}
	}
	r, good := testReceiver(&memory{}), secret(t, testSecret)
	if _, err := NewGitHub(r); err == nil {
		t.Error("GitHub is received without a secret")
	}
	if _, err := NewGitHub(r, good, Secret{}); err == nil {
		t.Error("GitHub is received with an empty secret")
	}
	if _, err := NewGitLab(r, nil, nil); err == nil {
		t.Error("GitLab is received without a secret")
	}
	if _, err := NewGitLab(r, []Secret{good}, []Secret{{}}); err == nil {
		t.Error("GitLab is received with an empty key")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	h := gitHub(t, testReceiver(&memory{}))
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "secret", h.secrets)
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "secret", h.secrets, "handler", h)
	all := out.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		all += fmt.Sprintf(verb+verb, h.secrets, h)
	}
	if strings.Contains(all, testSecret) || strings.Contains(all, fmt.Sprintf("%x", testSecret)) ||
		strings.Contains(all, "105 116 32 105 115") { // how its bytes begin
		t.Errorf("a secret prints: %s", all)
	}
}

func TestParseSigningKey(t *testing.T) {
	key, err := ParseSigningKey("whsec_" + base64.StdEncoding.EncodeToString([]byte(testKey)))
	if err != nil || string(key.bytes()) != testKey {
		t.Errorf("a key of GitLab is read as %d bytes, %v", len(key.bytes()), err)
	}
	for _, text := range []string{"", testKey, "whsec_", "whsec_%%%%", "whsec_AAAA"} {
		if _, err := ParseSigningKey(text); err == nil {
			t.Errorf("ParseSigningKey(%q) is taken", text)
		} else if strings.Contains(err.Error(), "%%") {
			t.Errorf("ParseSigningKey(%q) tells a part of the key: %v", text, err)
		}
	}
}

// TestSecretsRotate: while one secret takes the place of another, both are good.
func TestSecretsRotate(t *testing.T) {
	inbox := &memory{}
	hub, err := NewGitHub(testReceiver(inbox), secret(t, "new"), secret(t, testSecret))
	if err != nil {
		t.Fatal(err)
	}
	lab, err := NewGitLab(testReceiver(inbox), nil, []Secret{secret(t, "new"), secret(t, testKey)})
	if err != nil {
		t.Fatal(err)
	}
	token, err := NewGitLab(testReceiver(inbox), []Secret{secret(t, "new"), secret(t, testSecret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{}`)
	young := hubPost("push", "2", body)
	young.Header.Set("X-Hub-Signature-256", hubSign("new", body))
	tokenYoung := labPost("Push Hook", "2", body)
	tokenYoung.Header.Set("X-Gitlab-Token", "new")
	for _, test := range []struct {
		name string
		h    http.Handler
		r    *http.Request
	}{
		{"GitHub, old", hub, hubPost("push", "1", body)},
		{"GitHub, new", hub, young},
		{"GitLab's key", lab, labSigned("Push Hook", "1", testNow, body)},
		{"GitLab's token, old", token, labPost("Push Hook", "1", body)},
		{"GitLab's token, new", token, tokenYoung},
	} {
		if resp := send(test.h, test.r); resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s: answered %s; want 202", test.name, resp.Status)
		}
	}
}

// TestSignedOften: GitLab signs with the old and the new key while it rotates them,
// and others may have signed as well.
func TestSignedOften(t *testing.T) {
	body := []byte(`{}`)
	r := labSigned("Push Hook", "1", testNow, body)
	r.Header.Set("Webhook-Signature", "v1,AAAA v2,zzz "+labSign("other", "1", "1", body)+" "+r.Header.Get("Webhook-Signature"))
	if resp := send(gitLab(t, testReceiver(&memory{}), true), r); resp.StatusCode != http.StatusAccepted {
		t.Errorf("a list with one good signature is answered %s; want 202", resp.Status)
	}
}

func TestFresh(t *testing.T) {
	for _, test := range []struct {
		at   time.Duration
		want int
	}{
		{0, 202}, {-clockSkew, 202}, {clockSkew, 202},
		{-clockSkew - time.Second, 401}, {clockSkew + time.Second, 401}, {-24 * time.Hour, 401},
	} {
		resp := send(gitLab(t, testReceiver(&memory{}), true), labSigned("Push Hook", "1", testNow.Add(test.at), []byte(`{}`)))
		if resp.StatusCode != test.want {
			t.Errorf("signed %s from now: answered %s; want %d", test.at, resp.Status, test.want)
		}
	}
	for _, text := range []string{"", "x", "+1795435200", " 1", "1e9", "9223372036854775807", "-9223372036854775808", "9223372036854775808"} {
		if fresh(text, testNow) {
			t.Errorf("fresh(%q) at %d", text, testNow.Unix())
		}
	}
}

func TestForms(t *testing.T) {
	inbox := &memory{}
	h := gitHub(t, testReceiver(inbox))
	json := `{"zen":"a & b = c"}`
	form := []byte(url.Values{"payload": {json}}.Encode())
	asForm := func(body []byte, signed string) *http.Request {
		r := hubPost("ping", string(body[:4]), body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		r.Header.Set("X-Hub-Signature-256", signed)
		return r
	}
	if resp := send(h, asForm(form, hubSign(testSecret, []byte(json)))); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a form whose payload is signed, and not the form, is answered %s; want 401", resp.Status)
	}
	if resp := send(h, asForm(form, hubSign(testSecret, form))); resp.StatusCode != http.StatusAccepted {
		t.Errorf("a form is answered %s; want 202", resp.Status)
	}
	odd := []byte("what=ever")
	if resp := send(h, asForm(odd, hubSign(testSecret, odd))); resp.StatusCode != http.StatusAccepted {
		t.Errorf("a form without a payload is answered %s; want 202", resp.Status)
	}
	kept := inbox.all()
	if len(kept) != 2 || string(kept[0].Body) != json || !bytes.Equal(kept[1].Body, odd) {
		t.Errorf("kept %q; want the payload of the one form and all of the other", kept)
	}
}

// TestKeys: what repeats a delivery has its key, and nothing else has.
func TestKeys(t *testing.T) {
	inbox := &memory{}
	hub, lab, signed := gitHub(t, testReceiver(inbox)), gitLab(t, testReceiver(inbox), false), gitLab(t, testReceiver(inbox), true)
	body, other := []byte(`{}`), []byte(`{"a":1}`)
	otherHook := hubPost("push", "1", body)
	otherHook.Header.Set("X-GitHub-Hook-ID", "8")
	bareID := labPost("Push Hook", "", body)
	bareID.Header.Del("Idempotency-Key")
	replayed := labSigned("Push Hook", "1", testNow, body)
	replayed.Header.Set("X-Gitlab-Webhook-UUID", "chosen by who replays")
	replayed.Header.Set("Idempotency-Key", "chosen as well")
	for _, test := range []struct {
		name string
		h    http.Handler
		r    *http.Request
		kept int
	}{
		{"GitHub", hub, hubPost("push", "1", body), 1},
		{"GitHub, again", hub, hubPost("push", "1", body), 1},
		{"GitHub, another delivery with the same body", hub, hubPost("push", "2", body), 2},
		{"GitHub, another hook with the same GUID", hub, otherHook, 3},
		{"GitHub without a GUID", hub, hubPost("push", "", body), 4},
		{"GitHub without a GUID, again", hub, hubPost("push", "", body), 4},
		{"GitHub without a GUID, another body", hub, hubPost("push", "", other), 5},
		{"GitHub without a GUID, another event", hub, hubPost("create", "", body), 6},
		{"GitLab", lab, labPost("Push Hook", "1", body), 7},
		{"GitLab, again", lab, labPost("Push Hook", "1", body), 7},
		{"GitLab before 17.4", lab, bareID, 8},
		{"GitLab, signed", signed, labSigned("Push Hook", "1", testNow, body), 9},
		{"GitLab, signed anew", signed, labSigned("Push Hook", "1", testNow.Add(time.Second), body), 9},
		{"GitLab, replayed", signed, replayed, 9},
	} {
		if resp := send(test.h, test.r); resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s: answered %s; want 202", test.name, resp.Status)
		}
		if got := len(inbox.all()); got != test.kept {
			t.Errorf("%s: %d deliveries are kept; want %d", test.name, got, test.kept)
		}
	}
	for _, d := range inbox.all() {
		if ref("refs/velocity/deliveries/"+d.Key) == "" || !strings.HasPrefix(d.Key, d.Forge+"-") || len(d.Key) != 47 {
			t.Errorf("the key %q is no part of a ref's name", d.Key)
		}
	}
	if d := inbox.all()[0]; d.Key != GitHubKey("7", "1") || d.Event != "push" || !d.Received.Equal(testNow) {
		t.Errorf("kept %+v; want GitHub's key, push, now", d)
	}
}

// TestProvenIsTaken: a forge that gets anything but 2xx switches the hook off, or
// never sends again. So what nobody can read, or nobody wants, is taken all the same.
func TestProvenIsTaken(t *testing.T) {
	inbox := &memory{}
	hub, lab, signed := gitHub(t, testReceiver(inbox)), gitLab(t, testReceiver(inbox), false), gitLab(t, testReceiver(inbox), true)
	bodies := []string{"", "null", "[]", "{", "\x00\xff", `{"action":"news"}`, strings.Repeat("[", 1<<16)}
	events := []string{"", "push", "news", "Push Hook", "Emoji Hook", "System Hook", strings.Repeat("x", 1<<16), "\xff"}
	sent := 0
	for _, body := range bodies {
		for _, event := range events {
			id := fmt.Sprint(sent)
			for name, resp := range map[string]reply{
				"GitHub":         send(hub, hubPost(event, id, []byte(body))),
				"GitLab":         send(lab, labPost(event, id, []byte(body))),
				"GitLab, signed": send(signed, labSigned(event, id, testNow, []byte(body))),
			} {
				if sent++; resp.StatusCode != http.StatusAccepted {
					t.Errorf("%s: the body %.20q of event %.20q is answered %s; want 202", name, body, event, resp.Status)
				}
			}
		}
	}
	if kept := len(inbox.all()); kept != sent {
		t.Errorf("%d deliveries are kept; want all %d", kept, sent)
	}
}
