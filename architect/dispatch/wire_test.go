package dispatch

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/build"
)

// Whatever comes over the wire is answered or refused, never a panic; what is
// understood means the same when it is said again.
func FuzzDecode(f *testing.F) {
	for _, body := range []any{Presence{Builder: "b"}, Progress{}, Result{}, Result{
		Findings: []build.Finding{{Kind: build.FromTest}}, Artifacts: []build.Artifact{{Name: "x"}}, Steps: []build.Step{{Images: []build.Image{{}}}},
	}, stop{}, answer{}} {
		data, err := json.Marshal(envelope[any]{Version: wireVersion, Body: body})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		again(t, data, decode[Presence])
		again(t, data, decode[Progress])
		again(t, data, decode[Result])
		again(t, data, decode[Assignment])
		again(t, data, decode[stop])
		again(t, data, decode[answer])
	})
}

func again[T any](t *testing.T, data []byte, read func([]byte) (T, error)) {
	t.Helper()
	first, err := read(data)
	if err != nil {
		return
	}
	one, err := encode(first)
	if err != nil {
		t.Fatalf("encode what was decoded: %v", err)
	}
	second, err := read(one)
	if err != nil {
		t.Fatalf("decode what was encoded: %v", err)
	}
	if two, err := encode(second); err != nil || !bytes.Equal(one, two) {
		t.Fatalf("%s is said again as %s, %v", one, two, err)
	}
}

func FuzzDecodeChunk(f *testing.F) {
	f.Add("1", "abc123-4", "s0t0", "1", "txt", "0", []byte("x"))
	f.Fuzz(func(t *testing.T, version, id, task, attempt, file, offset string, data []byte) {
		h := nats.Header{headerVersion: {version}, headerBuild: {id}, headerTask: {task},
			headerAttempt: {attempt}, headerFile: {file}, headerOffset: {offset}}
		c, err := decodeChunk(h, data)
		if err != nil {
			return
		}
		back, err := decodeChunk(encodeChunk("x", c).Header, c.Data)
		if err != nil || back.Attempt != c.Attempt || back.Offset != c.Offset || back.File != c.File {
			t.Fatalf("%+v is said again as %+v, %v", c, back, err)
		}
	})
}
