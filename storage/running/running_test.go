package running

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

var attempt = dispatch.Attempt{Build: build.ID{Store: "aaaaaa", Number: 7}, Task: "s0t0", Number: 2}

func result(text, times []byte) dispatch.Result {
	sum := sha256.Sum256(text)
	return dispatch.Result{Attempt: attempt, Times: int64(len(times)),
		Log: build.Log{Bytes: int64(len(text)), SHA256: hex.EncodeToString(sum[:])}}
}

// Chunks may come twice, overlap and leave gaps: going on from the size that
// Write returns always ends in the whole log.
func TestWriteEndsInTheWholeLog(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		logs, err := New(filepath.Join(dir, "logs"))
		if err != nil {
			rt.Fatal(err)
		}
		text := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "text")
		chunk := func(from int64) dispatch.Chunk {
			to := from + int64(rapid.IntRange(0, 50).Draw(rt, "len"))
			return dispatch.Chunk{Attempt: attempt, File: dispatch.TextFile, Offset: from, Data: text[from:min(to, int64(len(text)))]}
		}
		for range rapid.IntRange(0, 20).Draw(rt, "noise") {
			if _, err := logs.Write(chunk(int64(rapid.IntRange(0, len(text)).Draw(rt, "from")))); err != nil {
				rt.Fatal(err)
			}
		}
		have, err := logs.Write(dispatch.Chunk{Attempt: attempt, File: dispatch.TextFile})
		if err != nil {
			rt.Fatal(err)
		}
		if _, err := logs.Finish(result(text, nil)); have < int64(len(text)) && !errors.Is(err, ErrIncomplete) {
			rt.Fatalf("Finish with %d of %d bytes = %v; want ErrIncomplete", have, len(text), err)
		}
		if _, err := logs.Write(dispatch.Chunk{Attempt: attempt, File: dispatch.TextFile, Offset: have, Data: text[have:]}); err != nil {
			rt.Fatal(err)
		}
		file, err := logs.Finish(result(text, nil))
		if err != nil {
			rt.Fatal(err)
		}
		if len(text) == 0 {
			if file.Text != "" {
				rt.Fatalf("an empty log is kept in %s", file.Text)
			}
			return
		}
		if got, err := os.ReadFile(file.Text); err != nil || !bytes.Equal(got, text) {
			rt.Fatalf("kept %q, %v; want %q", got, err, text)
		}
		from := int64(rapid.IntRange(0, len(text)).Draw(rt, "read"))
		if got, err := logs.Read(attempt, from, 10); err != nil || !bytes.Equal(got, text[from:min(from+10, int64(len(text)))]) {
			rt.Fatalf("Read(%d) = %q, %v", from, got, err)
		}
	})
}

func TestFinishTakesAWrongCopyAnew(t *testing.T) {
	logs, err := New(filepath.Join(t.TempDir(), "logs"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(kind dispatch.File, data string) {
		t.Helper()
		if _, err := logs.Write(dispatch.Chunk{Attempt: attempt, File: kind, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	write(dispatch.TextFile, "wrong")
	want := result([]byte("right"), []byte("0 0\n"))
	if _, err := logs.Finish(want); !errors.Is(err, ErrIncomplete) {
		t.Fatalf("Finish of a wrong copy = %v; want ErrIncomplete", err)
	}
	write(dispatch.TextFile, "right")
	if _, err := logs.Finish(want); !errors.Is(err, ErrIncomplete) {
		t.Fatalf("Finish without line times = %v; want ErrIncomplete", err)
	}
	write(dispatch.TimesFile, "0 0\n")
	file, err := logs.Finish(want)
	if err != nil {
		t.Fatal(err)
	}
	logs.Drop(attempt.Build)
	if _, err := os.Stat(file.Text); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Drop: %v; want no file", err)
	}
}

// Who reads a copy, and is at it for long, holds up nobody who writes it; and who writes
// for long, on a disk that is slow, nobody who looks whether there is something new.
func TestReadersAndWritersDoNotWait(t *testing.T) {
	l, err := New(filepath.Join(t.TempDir(), "running"))
	if err != nil {
		t.Fatal(err)
	}
	chunk := dispatch.Chunk{Attempt: attempt, File: dispatch.TextFile, Data: []byte("one\n")}
	if _, err := l.Write(chunk); err != nil {
		t.Fatal(err)
	}
	soon := func(what string, do func() error) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- do() }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s waits", what)
		}
	}
	l.mu.RLock()
	soon("a writer", func() error {
		chunk.Offset = 4
		_, err := l.Write(chunk)
		return err
	})
	l.mu.RUnlock()
	f := l.find(l.path(attempt, dispatch.TextFile))
	f.mu.Lock()
	defer f.mu.Unlock()
	soon("a reader", func() error {
		if data, err := l.Read(attempt, 2, 100); err != nil || string(data) != "e\none\n" {
			return fmt.Errorf("%q, %w", data, err)
		}
		_, err := l.Read(attempt, 8, 100)
		return err
	})
}
