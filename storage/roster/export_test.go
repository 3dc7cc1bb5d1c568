package roster

import (
	"encoding/json"
	"errors"
	"testing"
)

// Mend gives a changed secret a good checksum.
func Mend(secret string) string {
	body := secret[:len(secret)-sumLength]
	return body + sum(body)
}

func TestNewerRecordsAreRefused(t *testing.T) {
	newer := []byte(`{"version": 2, "name": 7}`)
	for name, read := range map[string]func([]byte) error{
		"builder":      func(data []byte) error { _, err := decodeBuilder(data); return err },
		"registration": func(data []byte) error { _, err := decodeRegistration(data); return err },
		"token":        func(data []byte) error { _, err := decodeToken(data); return err },
	} {
		var e *VersionError
		if err := read(newer); !errors.As(err, &e) || e.Version != 2 {
			t.Errorf("%s: %v", name, err)
		}
		if err := read([]byte(`{"name": "x"}`)); err == nil {
			t.Errorf("%s without a version was read", name)
		}
	}
}

// What is read can be written, and reads the same again.
func FuzzBuilderRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"name":"m","public":"UAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","curve":"XAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","registered":"2026-11-22T12:00:00Z","by":"x"}`))
	f.Add([]byte(`{"version":9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBuilder(data)
		if err != nil {
			return
		}
		once, err := encodeBuilder(b)
		if err != nil {
			t.Fatalf("%q was read and cannot be written: %v", data, err)
		}
		again, err := decodeBuilder(once)
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		if twice, err := encodeBuilder(again); err != nil || string(twice) != string(once) {
			t.Fatalf("%q became %q (%v)", once, twice, err)
		}
	})
}

// What is read of tokens passes the checks that writing makes.
func FuzzTokenRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":"AAAAAAAAAAAA","hash":"00","name":"ann","rights":"read","created":"2026-11-22T12:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := decodeToken(data); err == nil {
			if err := r.token().check(); err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = decodeRegistration(data) // must not panic
	})
}

func FuzzSecret(f *testing.F) {
	f.Add(TokenPrefix, "vla_")
	f.Fuzz(func(t *testing.T, prefix, text string) {
		if id, err := idOf(prefix, text); err == nil && checkID(id) != nil {
			t.Fatalf("%q has the id %q", text, id)
		}
	})
}
