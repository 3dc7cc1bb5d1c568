package mask

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// oracle masks a whole text the slow way: try every variant at every position.
func oracle(secrets [][]byte, text []byte) []byte {
	covered := make([]bool, len(text))
	for _, secret := range secrets {
		for _, v := range variants(secret) {
			for at := range text {
				if end := matchAt(text, at, v); end > 0 {
					for i := at; i < end; i++ {
						covered[i] = true
					}
				}
			}
		}
	}
	var out []byte
	for i, c := range text {
		switch {
		case !covered[i]:
			out = append(out, c)
		case i == 0 || !covered[i-1]:
			out = append(out, Mark...)
		}
	}
	return out
}

// matchAt returns where the variant that begins at position at ends, or 0.
func matchAt(text []byte, at int, v variant) int {
	rest := text[at:]
	for i, c := range v.text {
		if v.folds && i >= foldFrom {
			if after, ok := bytes.CutPrefix(rest, []byte("\r\n")); ok {
				rest = after
			} else if after, ok := bytes.CutPrefix(rest, []byte("\n")); ok {
				rest = after
			} else if after, ok := bytes.CutPrefix(rest, []byte("\r")); ok && bytes.HasPrefix(after, []byte("\n")) {
				rest = after
			}
		}
		if len(rest) == 0 || rest[0] != c {
			return 0
		}
		rest = rest[1:]
	}
	return len(text) - len(rest)
}

// masked sends text through a Writer in chunks of the given lengths, the last of
// which may be repeated as needed.
func masked(t fatal, m *Masker, text []byte, chunks []int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := m.Writer(&out)
	for rest := text; len(rest) > 0; {
		n := len(rest)
		if len(chunks) > 0 {
			n = min(n, max(1, chunks[0]))
			if len(chunks) > 1 {
				chunks = chunks[1:]
			}
		}
		if _, err := w.Write(slices.Clone(rest[:n])); err != nil {
			t.Fatalf("Write: %v", err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return out.Bytes()
}

type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

func masker(t fatal, secrets [][]byte) *Masker {
	t.Helper()
	named := make(map[string]string)
	for i, s := range secrets {
		named[fmt.Sprint("s", i)] = string(s)
	}
	m, err := New(named)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return m
}

// secretGen draws secrets of an alphabet small enough for overlaps to happen, and
// ones with everything that escapes in it.
func secretGen() *rapid.Generator[[]byte] {
	return rapid.OneOf(
		rapid.SliceOfN(rapid.SampledFrom([]byte("ab")), MinLength, 12),
		rapid.SliceOfN(rapid.SampledFrom([]byte("ab\"'<>&+/% \n\r\\{}é~?")), MinLength+2, 90),
		rapid.SliceOfN(rapid.Byte(), MinLength+2, 60),
		rapid.Map(rapid.StringMatching(`\{"user": "[a-z]{8,12}", "n": \[[0-9]{8}, "[a-z]{3}\\n[a-z]{9}"\]\}`),
			func(s string) []byte { return []byte(s) }),
	).Filter(func(s []byte) bool {
		return len(bytes.TrimSpace(s)) >= MinLength && bytes.Equal(bytes.TrimSpace(s), s)
	})
}

// textGen draws noise with whole, cut and wrapped variants in it.
func textGen(secrets [][]byte) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		var text []byte
		for range rapid.IntRange(0, 12).Draw(t, "pieces") {
			all := variants(rapid.SampledFrom(secrets).Draw(t, "secret"))
			v := rapid.SampledFrom(all).Draw(t, "variant").text
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				text = append(text, rapid.SliceOfN(rapid.SampledFrom([]byte("ab \n\rYWJh=61")), 0, 20).Draw(t, "noise")...)
			case 1:
				text = append(text, v...)
			case 2:
				text = append(text, v[:rapid.IntRange(0, len(v)).Draw(t, "cut")]...)
			case 3:
				text = append(text, v[rapid.IntRange(0, len(v)).Draw(t, "cut"):]...)
			case 4:
				width := rapid.SampledFrom([]int{9, 12, 64, 76}).Draw(t, "width")
				ending := rapid.SampledFrom([]string{"\n", "\r\n", "\r", "\n\n"}).Draw(t, "ending")
				text = append(text, bytes.Join(slices.Collect(slices.Chunk(v, width)), []byte(ending))...)
			}
		}
		return text
	})
}

func TestMaskingEqualsOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(secretGen(), 1, 4).Draw(t, "secrets")
		text := textGen(secrets).Draw(t, "text")
		chunks := rapid.SliceOfN(rapid.IntRange(1, 40), 0, 30).Draw(t, "chunks")
		m := masker(t, secrets)
		want := oracle(secrets, text)
		if got := masked(t, m, text, chunks); !bytes.Equal(got, want) {
			t.Fatalf("Writer(%q, chunks %v) of secrets %q:\n got %q\nwant %q", text, chunks, secrets, got, want)
		}
		if got := m.String(string(text)); got != string(want) {
			t.Fatalf("String(%q) of secrets %q:\n got %q\nwant %q", text, secrets, got, want)
		}
	})
}

func FuzzMasking(f *testing.F) {
	f.Add([]byte("correct horse"), []byte(`say "correct horse" Y29ycmVjdCBob3JzZQ==`), uint8(3))
	f.Add([]byte("line one\nline two<&>'"), []byte("line one\r\nline two&lt;6c696e65206f6e650a6c696e652074776f"), uint8(1))
	f.Add([]byte("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"), []byte("\xff\xfe//79/Pv6\n+fg="), uint8(7))
	f.Fuzz(func(t *testing.T, secret, noise []byte, size uint8) {
		secret = bytes.TrimSpace(secret)
		if len(secret) < MinLength || len(secret) > 200 || len(noise) > 2000 {
			return
		}
		text := slices.Clone(noise)
		for i, v := range variants(secret) {
			cut := i % (len(noise) + 1)
			text = append(append(text, noise[cut:]...), v.text[:len(v.text)-i%3]...)
		}
		text = text[:min(len(text), 6000)]
		want := oracle([][]byte{secret}, text)
		if got := masked(t, masker(t, [][]byte{secret}), text, []int{int(size)}); !bytes.Equal(got, want) {
			t.Errorf("secret %q, text %q, chunks of %d:\n got %q\nwant %q", secret, text, size, got, want)
		}
	})
}
