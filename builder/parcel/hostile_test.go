package parcel

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// An item is one entry of an archive that somebody else wrote.
type item struct {
	typ  byte
	name string
	text string // content, or what it links to
	mode int64
	pax  map[string]string
}

// archive is items, as they are, in a stream.
func archive(t testing.TB, items []item) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	must(t, err)
	return z.EncodeAll(plain(t, items), nil)
}

// plain is archive before compression.
func plain(t testing.TB, items []item) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, it := range items {
		h := &tar.Header{Typeflag: it.typ, Name: it.name, Mode: it.mode, PAXRecords: it.pax}
		switch it.typ {
		case tar.TypeReg:
			h.Size = int64(len(it.text))
		case tar.TypeSymlink, tar.TypeLink:
			h.Linkname = it.text
		}
		if h.Mode == 0 && it.typ != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		must(t, w.WriteHeader(h))
		if it.typ == tar.TypeReg {
			_, err := io.WriteString(w, it.text)
			must(t, err)
		}
	}
	must(t, w.Close())
	return out.Bytes()
}

const (
	reg  = tar.TypeReg
	dir  = tar.TypeDir
	sym  = tar.TypeSymlink
	hard = tar.TypeLink
)

func one(typ byte, name, text string) []item { return []item{{typ: typ, name: name, text: text}} }

// hostile are archives that must be refused as a whole (TRUST, B7).
var hostile = map[string][]item{
	"up":                         one(reg, "../x", ""),
	"up behind a folder":         one(reg, "a/../../x", ""),
	"up and down":                one(reg, "a/../x", ""),
	"only up":                    one(reg, "..", ""),
	"absolute":                   one(reg, "/tmp/x", ""),
	"two slashes":                one(reg, "a//x", ""),
	"here":                       one(reg, "./x", ""),
	"this folder":                one(dir, "./", ""),
	"empty":                      one(reg, "", ""),
	"a line break":               one(reg, "a\nb", ""),
	"an escape":                  one(reg, "a\x1b[2Jb", ""),
	"no text":                    one(reg, "a\xff", ""),
	"a very long name":           one(reg, strings.Repeat("x", 300), ""),
	"a very long path":           one(reg, strings.Repeat("x/", 3000)+"x", ""),
	".git":                       one(reg, ".git/hooks/post-checkout", ""),
	".git below":                 one(reg, "a/.git/config", ""),
	".GIT":                       one(reg, ".GIT/config", ""),
	".git with a dot":            one(reg, ".git./config", ""),
	".git with a space":          one(reg, ".git /config", ""),
	".git as NTFS shortens it":   one(reg, "GIT~1/config", ""),
	".git with a stream":         one(reg, ".git::$INDEX_ALLOCATION/config", ""),
	".git with what HFS ignores": one(reg, ".g\u200cit/config", ""),
	"a link out":                 one(sym, "l", "/etc"),
	"a link up":                  one(sym, "l", "../x"),
	"a link up from a folder":    one(sym, "a/l", "../../x"),
	"a link around":              one(sym, "l", "a/../../x"),
	"a link in a roundabout way": one(sym, "a/l", "b/../c"),
	"a link to nowhere":          one(sym, "l", ""),
	"a link into .git":           one(sym, "l", ".git/config"),
	"a link into .Git":           one(sym, "a/l", "../.Git/hooks"),
	"a file through a link":      {{typ: sym, name: "l", text: "d"}, {typ: dir, name: "d/"}, {typ: reg, name: "l/x"}},
	"a file for a link":          {{typ: sym, name: "l", text: "x"}, {typ: reg, name: "l"}},
	"a folder for a link":        {{typ: dir, name: "d/"}, {typ: sym, name: "l", text: "d"}, {typ: dir, name: "l/"}},
	"a file through a file":      {{typ: reg, name: "f"}, {typ: reg, name: "f/x"}},
	"twice":                      {{typ: reg, name: "f"}, {typ: reg, name: "f"}},
	"a folder twice":             {{typ: dir, name: "f/"}, {typ: dir, name: "f/"}},
	"a hard link":                {{typ: reg, name: "f"}, {typ: hard, name: "g", text: "f"}},
	"a hard link out":            one(hard, "g", "/etc/passwd"),
	"a character device":         one(tar.TypeChar, "dev", ""),
	"a block device":             one(tar.TypeBlock, "dev", ""),
	"a pipe":                     one(tar.TypeFifo, "pipe", ""),
	"setuid":                     {{typ: reg, name: "su", mode: 0o4755}},
	"setgid":                     {{typ: dir, name: "sg/", mode: 0o2755}},
	"sticky":                     {{typ: dir, name: "st/", mode: 0o1777}},
	"an attribute":               {{typ: reg, name: "x", pax: map[string]string{"SCHILY.xattr.security.capability": "x"}}},
	"a global header":            {{typ: tar.TypeXGlobalHeader, pax: map[string]string{"path": "x"}}},
	"too many files":             many(11),
	"too many bytes":             one(reg, "x", strings.Repeat("x", 10_001)),
	"too many bytes in all":      {{typ: reg, name: "x", text: strings.Repeat("x", 6000)}, {typ: reg, name: "y", text: strings.Repeat("x", 6000)}},
}

func many(n int) (items []item) {
	for i := range n {
		items = append(items, item{typ: reg, name: fmt.Sprint("f", i)})
	}
	return items
}

// tight are limits that a test can reach.
func tight() Limits { return Limits{Files: 10, Bytes: 10_000, Ratio: 1000} }

func TestUnpackRefuses(t *testing.T) {
	for name, items := range hostile {
		t.Run(name, func(t *testing.T) {
			refusesAll(t, archive(t, append([]item{{typ: reg, name: "before", text: "x"}}, items...)), tight())
		})
	}
}

// refusesAll checks that nothing comes of an archive, and that the folder around
// the root stays as it was.
func refusesAll(t *testing.T, pack []byte, limits Limits) {
	t.Helper()
	outside := folder(t, map[string]string{"ws/was/here": "kept"})
	root, err := outside.OpenRoot("ws")
	must(t, err)
	defer root.Close()
	want := contents(t, outside)
	for _, kind := range []Kind{Artifacts, Cache} {
		if _, _, err := Unpack(t.Context(), bytes.NewReader(pack), root, kind, limits); !errors.Is(err, ErrRefused) {
			t.Errorf("Unpack as kind %d = %v; want a refusal", kind, err)
		}
		if diff := cmp.Diff(want, contents(t, outside)); diff != "" {
			t.Errorf("left behind by kind %d (-want +got):\n%s", kind, diff)
		}
	}
}

// Folders and links are for caches only.
func TestArtifactsAreFiles(t *testing.T) {
	for _, items := range [][]item{one(dir, "d/", ""), one(sym, "l", "x")} {
		_, _, err := Unpack(t.Context(), bytes.NewReader(archive(t, items)), folder(t, nil), Artifacts, tight())
		if !errors.Is(err, ErrRefused) {
			t.Errorf("Unpack of %+v = %v; want a refusal", items, err)
		}
	}
}

// A stream of a few kilobytes does not fill the disk.
func TestUnpackRefusesBombs(t *testing.T) {
	read, write := io.Pipe()
	go func() {
		z, _ := zstd.NewWriter(write)
		w := tar.NewWriter(z)
		const size = 4 << 30
		_ = w.WriteHeader(&tar.Header{Typeflag: reg, Name: "zeros", Size: size, Mode: 0o644})
		zeros := make([]byte, 1<<20)
		for n := 0; n < size; n += len(zeros) {
			if _, err := w.Write(zeros); err != nil {
				break
			}
		}
		_ = errors.Join(w.Close(), z.Close(), write.Close()) // nobody reads to the end
	}()
	defer read.Close()
	err := Extract(t.Context(), read, "zeros", Artifacts, DefaultLimits(), io.Discard)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "times as large") {
		t.Errorf("Extract of a bomb = %v; want a refusal", err)
	}
}

func TestUnpackRefusesDamage(t *testing.T) {
	whole := archive(t, []item{{typ: reg, name: "a", text: strings.Repeat("text", 500)}})
	for name, pack := range map[string][]byte{
		"nothing":         {},
		"no archive":      []byte("PK\x03\x04"),
		"cut off":         whole[:len(whole)/2],
		"something after": append(bytes.Clone(whole), archive(t, one(reg, "b", ""))...),
		"noise after":     append(bytes.Clone(whole), "noise"...),
	} {
		t.Run(name, func(t *testing.T) { refusesAll(t, pack, tight()) })
	}
}

// A cache does not take the place of what is there; artifacts do, of files.
func TestUnpackOverFiles(t *testing.T) {
	pack := archive(t, one(reg, "a/x", "new"))
	root := folder(t, map[string]string{"a/x": "old"})
	if _, _, err := Unpack(t.Context(), bytes.NewReader(pack), root, Cache, tight()); !errors.Is(err, ErrRefused) {
		t.Errorf("a cache over a file = %v; want a refusal", err)
	}
	if _, _, err := Unpack(t.Context(), bytes.NewReader(pack), root, Artifacts, tight()); err != nil {
		t.Error(err)
	}
	if got := contents(t, root)["a/x"]; got != "new" {
		t.Errorf("a/x is %q", got)
	}
	linked := folder(t, map[string]string{"a": "-> b", "b/": "", "out": "-> /etc/passwd"})
	if _, _, err := Unpack(t.Context(), bytes.NewReader(pack), linked, Artifacts, tight()); !errors.Is(err, ErrRefused) {
		t.Errorf("through a link that was there = %v; want a refusal", err)
	}
	if _, _, err := Unpack(t.Context(), bytes.NewReader(archive(t, one(reg, "out", "new"))), linked, Artifacts, tight()); err != nil {
		t.Error(err)
	}
	if got := contents(t, linked)["out"]; got != "new" { // the link went, not what it led to
		t.Errorf("out is %q", got)
	}
}

// An error of the reader is its own, not the stream's.
func TestUnpackTellsReadErrors(t *testing.T) {
	broken := errors.New("the line went dead")
	pack := archive(t, one(reg, "a", strings.Repeat("x", 5000)))
	_, _, err := Unpack(t.Context(), io.MultiReader(bytes.NewReader(pack), failing{broken}), folder(t, nil), Cache, tight())
	if !errors.Is(err, broken) || errors.Is(err, ErrRefused) {
		t.Errorf("Unpack = %v; want %v", err, broken)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzEntries: whatever the bytes behind the compression say, only files, folders
// and links within the root are let through, each fit to be made.
func FuzzEntries(f *testing.F) {
	for _, items := range hostile {
		f.Add(plain(f, items))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		n, size := 0, int64(0)
		_ = entries(bytes.NewReader(stream), Cache, tight(), func(h *tar.Header, content io.Reader) error {
			read, err := io.Copy(io.Discard, content)
			n, size = n+1, size+read
			inside := fs.ValidPath(h.Name) && !strings.Contains(strings.ToLower("/"+h.Name+"/"), "/.git/")
			if !inside || h.Mode&^0o777 != 0 || n > tight().Files || size > tight().Bytes {
				t.Fatalf("entry %d, %d bytes: %+v", n, size, h)
			}
			switch h.Typeflag {
			case reg, dir:
			case sym:
				if to := path.Join(path.Dir(h.Name), h.Linkname); path.IsAbs(h.Linkname) || !fs.ValidPath(to) {
					t.Fatalf("%q links to %q", h.Name, h.Linkname)
				}
			default:
				t.Fatalf("%q is of type %q", h.Name, h.Typeflag)
			}
			return err
		})
	})
}

// Whatever entries follow on one another: nothing changes outside of the root, and
// what was refused leaves nothing.
func TestUnpackAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SampledFrom([]string{"a", "b", "a/b", "a/b/c", "b/a", "was", "was/here", "out"})
		items := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) item {
			it := item{
				typ: rapid.SampledFrom([]byte{reg, dir, sym}).Draw(rt, "type"), name: names.Draw(rt, "name"), text: "x",
				mode: 0o755, // so that who is not root can look at what came of it
			}
			switch it.typ {
			case dir:
				it.name += "/"
			case sym:
				it.text = rapid.SampledFrom([]string{"a", "b", "../b", "..", ".", "../..", "../../target", "/etc", "c/..", "out"}).Draw(rt, "to")
			}
			return it
		}), 1, 8).Draw(rt, "items")
		outside := folder(t, map[string]string{"ws/was/here": "kept", "ws/out": "-> ../target", "target": "kept"})
		root, err := outside.OpenRoot("ws")
		must(t, err)
		defer root.Close()
		before := contents(t, outside)
		kind := rapid.SampledFrom([]Kind{Artifacts, Cache}).Draw(rt, "kind")
		u := newUnpacker(root, kind)
		err = u.finish(entries(bytes.NewReader(plain(t, items)), kind, tight(), u.entry))
		after := contents(t, outside)
		if err == nil {
			for name := range after {
				if strings.HasPrefix(name, "ws/") {
					delete(after, name)
					delete(before, name)
				}
			}
		} else if after["ws/was/here"] == "x" || after["ws/out"] == "x" || after["ws/was/here"] == "" || after["ws/out"] == "" {
			// an artifact took the place of a file before the refusal: it cannot be brought back
			for _, name := range []string{"ws/was/here", "ws/out"} {
				delete(after, name)
				delete(before, name)
			}
		}
		if diff := cmp.Diff(before, after); diff != "" {
			rt.Fatalf("after %v (-want +got):\n%s", err, diff)
		}
	})
}
