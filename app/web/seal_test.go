package web

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// What was sealed for one purpose opens for no other, and with no other key.
func TestSealsHaveAPurpose(t *testing.T) {
	ours, other := &Sessions{Key: []byte("ours")}, &Sessions{Key: []byte("other")}
	text, err := ours.seal(sealOfSignIn, journey{State: "s"})
	if err != nil {
		t.Fatal(err)
	}
	var j journey
	if !ours.open(sealOfSignIn, text, &j) || j.State != "s" {
		t.Errorf("what was sealed reads %+v", j)
	}
	if ours.open(sealOfSession, text, &j) || other.open(sealOfSignIn, text, &j) {
		t.Error("a seal opens for another purpose, or with another key")
	}
}

// Ended sessions are remembered in bounded memory: first those are forgotten that are
// over by themselves.
func TestEndedSessionsAreBounded(t *testing.T) {
	s, now := &Sessions{}, time.Unix(1_000_000, 0)
	s.end(session{id: "over", until: now.Add(-time.Second)}, now)
	for i := range maxEnded + 10 {
		s.end(session{id: string(rune('\u4e00' + i)), until: now.Add(time.Duration(i+1) * time.Second)}, now)
	}
	if len(s.ended) != maxEnded || s.isEnded("over") || !s.isEnded(string(rune('\u4e00'+maxEnded+9))) {
		t.Errorf("%d ended sessions are remembered", len(s.ended))
	}
}

// A cookie is whatever somebody sends. One that is read is one that was written.
func FuzzSession(f *testing.F) {
	s := &Sessions{Key: []byte("of this test")}
	good, err := s.write(session{id: "x", person: &Person{Forge: "github", ID: 7, Login: "ann", Token: "t"}, until: time.Unix(10, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("x.1.y")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		// Each process of a fuzzing seals it anew.
		if got, ok := s.read(text, time.Unix(0, 0)); ok && (got.id != "x" || got.person == nil || got.person.Token != "t") || !ok && text == good {
			t.Fatalf("%q is read: %t, as %+v", text, ok, got)
		}
		var any json.RawMessage
		if s.open(sealOfSignIn, text, &any) {
			t.Fatalf("%q is opened: %s", text, bytes.TrimSpace(any))
		}
	})
}

// Where somebody goes on is a path of this server, whatever they were told.
func FuzzWithin(f *testing.F) {
	for _, text := range []string{"/builds?repository=shop", "//evil.example", `/\evil.example`, "/\t/evil.example", "https:evil.example", "/..//evil.example"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := within(text)
		if got == "" || got[0] != '/' || len(got) > 1 && (got[1] == '/' || got[1] == '\\') || bytes.ContainsAny([]byte(got), "\\\r\n\t") {
			t.Fatalf("%q leads to %q", text, got)
		}
	})
}
