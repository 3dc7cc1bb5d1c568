package dispatch

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

var signedAt = time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)

// offered makes an assignment for b-1 and the trust of its builder, whose clock
// is that much ahead.
func offered(t *testing.T, ahead time.Duration) (*nats.Msg, Assignment, Trust) {
	t.Helper()
	signer, err1 := NewSigner()
	keys, err2 := NewKeys()
	a := Assignment{Repository: "r", Values: map[string]string{"password": "hunter2-value"}, Credential: "hunter2-credential"}
	m, err3 := encodeOffer(signer, "b-1", keys.Curve(), a, signedAt)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return m, a, Trust{Architect: signer.Public(), Keys: keys, Now: func() time.Time { return signedAt.Add(ahead) }}
}

func TestOffer(t *testing.T) {
	for _, ahead := range []time.Duration{0, signedFor, -signedFor} {
		m, want, trust := offered(t, ahead)
		got, err := decodeOffer(trust, "b-1", m)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("clock %s ahead: %v (-want +got):\n%s", ahead, err, diff)
		}
		if bytes.Contains(m.Data, []byte("hunter2")) {
			t.Errorf("secrets are sent in clear: %s", m.Data)
		}
	}
}

func TestOfferRefused(t *testing.T) {
	other := func(t *testing.T) *Keys {
		k, err := NewKeys()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for name, c := range map[string]struct {
		ahead time.Duration
		spoil func(m *nats.Msg, t *Trust)
		name  string
		want  string
	}{
		"for another builder":   {name: "b-2", want: "not signed for builder b-2"},
		"too old":               {ahead: signedFor + time.Second, want: "compare the clocks"},
		"from the future":       {ahead: -signedFor - time.Second, want: "compare the clocks"},
		"unsigned":              {spoil: func(m *nats.Msg, _ *Trust) { m.Header.Del(headerSignature) }, want: "not signed"},
		"without any header":    {spoil: func(m *nats.Msg, _ *Trust) { m.Header = nil }, want: "not signed"},
		"signature is no text":  {spoil: func(m *nats.Msg, _ *Trust) { m.Header.Set(headerSignature, "?") }, want: "not signed"},
		"short signature":       {spoil: func(m *nats.Msg, _ *Trust) { m.Header.Set(headerSignature, "AAAA") }, want: "not signed"},
		"changed":               {spoil: func(m *nats.Msg, _ *Trust) { m.Data = bytes.Replace(m.Data, []byte(`"r"`), []byte(`"s"`), 1) }, want: "not signed"},
		"another architect":     {spoil: func(_ *nats.Msg, tr *Trust) { s, _ := NewSigner(); tr.Architect = s.Public() }, want: "not signed"},
		"no architect":          {spoil: func(_ *nats.Msg, tr *Trust) { tr.Architect = "" }, want: "public key in this builder's registration"},
		"sealed to another":     {spoil: func(_ *nats.Msg, tr *Trust) { tr.Keys = other(t) }, want: "open secrets"},
		"signed for a purpose":  {spoil: func(m *nats.Msg, tr *Trust) { resign(m, tr, []byte("velocity other\x001\x00b-1\x00")) }, want: "not signed"},
		"signed for no version": {spoil: func(m *nats.Msg, tr *Trust) { resign(m, tr, []byte("velocity assignment\x000\x00b-1\x00")) }, want: "not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, trust := offered(t, c.ahead)
			if c.spoil != nil {
				c.spoil(m, &trust)
			}
			if c.name == "" {
				c.name = "b-1"
			}
			got, err := decodeOffer(trust, c.name, m)
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.want) {
				t.Errorf("decodeOffer = %v; want it refused: %s", err, c.want)
			}
			if diff := cmp.Diff(Assignment{}, got); diff != "" {
				t.Errorf("refused, and something of it returned: %s", diff)
			}
		})
	}
}

// resign signs the data for something else with a key the builder trusts.
func resign(m *nats.Msg, trust *Trust, statement []byte) {
	s, _ := NewSigner()
	trust.Architect = s.Public()
	signature, _ := s.pair.Sign(append(statement, m.Data...))
	m.Header.Set(headerSignature, base64.RawStdEncoding.EncodeToString(signature))
}

// Keys survive being written down, and those of one kind do not pass for another.
func TestKeysRoundTrip(t *testing.T) {
	k, err1 := NewKeys()
	s, err2 := NewSigner()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	seed, curve := k.Seeds()
	again, err := ParseKeys(seed, curve)
	if err != nil || again.Public() != k.Public() || again.Curve() != k.Curve() {
		t.Errorf("ParseKeys = %v, %v", again, err)
	}
	if s2, err := ParseSigner(s.Seed()); err != nil || s2.Public() != s.Public() {
		t.Errorf("ParseSigner = %v, %v", s2, err)
	}
	if !ValidPublic(k.Public()) || !ValidCurve(k.Curve()) || ValidPublic(s.Public()) || ValidCurve(k.Public()) {
		t.Error("the kinds of public keys are mixed up")
	}
	for _, bad := range [][2]string{{"", ""}, {s.Seed(), curve}, {curve, seed}, {seed, ""}, {seed[1:], curve}} {
		if _, err := ParseKeys(bad[0], bad[1]); err == nil {
			t.Error("ParseKeys accepts what is none of a builder's seeds")
		} else if strings.Contains(err.Error(), seed[2:]) || strings.Contains(err.Error(), curve[2:]) {
			t.Errorf("the error shows a seed: %v", err)
		}
	}
	if _, err := ParseSigner(seed); err == nil {
		t.Error("ParseSigner accepts a builder's seed")
	}
}

// Whatever is sent as an assignment is refused, or was signed.
func FuzzOffer(f *testing.F) {
	f.Add([]byte(`{"version":1,"body":{}}`), "AAAA", "X", []byte("x"))
	signer, err1 := NewSigner()
	keys, err2 := NewKeys()
	if err := errors.Join(err1, err2); err != nil {
		f.Fatal(err)
	}
	trust := Trust{Architect: signer.Public(), Keys: keys}
	f.Fuzz(func(t *testing.T, data []byte, signature, sender string, sealed []byte) {
		m := nats.NewMsg("x")
		m.Data = data
		m.Header.Set(headerSignature, signature)
		if a, err := decodeOffer(trust, "b-1", m); err == nil {
			t.Fatalf("taken without a signature: %+v", a)
		}
		if s, err := keys.open(sender, sealed); err == nil {
			t.Fatalf("opened what nobody sealed: %+v", s)
		}
	})
}
