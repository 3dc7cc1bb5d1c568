package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// twenty returns twenty secrets of 40 bytes, as tokens are.
func twenty() map[string]string {
	r := rand.New(rand.NewPCG(1, 2))
	secrets := make(map[string]string)
	for i := range 20 {
		b := make([]byte, 40)
		for j := range b {
			b[j] = byte('!' + r.IntN('~'-'!'))
		}
		secrets[fmt.Sprint("token", i)] = string(b)
	}
	return secrets
}

func BenchmarkWriter(b *testing.B) {
	m, err := New(twenty())
	if err != nil {
		b.Fatal(err)
	}
	r := rand.NewChaCha8([32]byte{})
	noise := make([]byte, 1<<19)
	_, _ = r.Read(noise)
	secret := ""
	for _, secret = range twenty() {
		break
	}
	texts := []struct{ name, text string }{
		{"log", strings.Repeat("2024-05-06T07:08:09Z INFO  compiling package velocity/architect/build (cached) 0.41s\n", 1<<13)},
		{"yes", strings.Repeat("y\n", 1<<19)},
		{"base64", base64.StdEncoding.EncodeToString(noise)},
		{"hex", hex.EncodeToString(noise)},
		{"random", string(noise)},
		{"almost", strings.Repeat(secret[:39]+"\n", 1<<14)},
		{"secret", strings.Repeat(secret+"\n", 1<<14)},
	}
	for _, tt := range texts {
		run := func(name string, w io.Writer) {
			b.Run(tt.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(tt.text)))
				for b.Loop() {
					for rest := []byte(tt.text); len(rest) > 0; {
						n := min(len(rest), 64<<10)
						_, _ = w.Write(rest[:n])
						rest = rest[n:]
					}
				}
			})
		}
		run("masked", m.Writer(new(sink)))
		run("plain", new(sink))
	}
}

// sink takes bytes as a file would, by copying them.
type sink struct{ buf [64 << 10]byte }

func (s *sink) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		rest = rest[copy(s.buf[:], rest):]
	}
	return len(p), nil
}

func BenchmarkNew(b *testing.B) {
	secrets := twenty()
	b.ReportAllocs()
	var m *Masker
	for b.Loop() {
		var err error
		if m, err = New(secrets); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(m.auto.nodes)), "nodes")
}

// BenchmarkNewKey is a private key of the usual size among the secrets.
func BenchmarkNewKey(b *testing.B) {
	key := bytes.Repeat([]byte("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"), 26)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(map[string]string{"key": string(key)}); err != nil {
			b.Fatal(err)
		}
	}
}
