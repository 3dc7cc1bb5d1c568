package parcel

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// folder makes a root with files by name; a name that ends in a slash is a
// folder, a text "-> x" a link.
func folder(t testing.TB, files map[string]string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	for name, text := range files {
		must(t, root.MkdirAll(filepath.Dir(strings.TrimSuffix(name, "/")), 0o755))
		switch target, link := strings.CutPrefix(text, "-> "); {
		case link:
			must(t, root.Symlink(target, name))
		case strings.HasSuffix(name, "/"):
			must(t, root.MkdirAll(strings.TrimSuffix(name, "/"), 0o755))
		default:
			must(t, root.WriteFile(name, []byte(text), 0o644))
		}
	}
	return root
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// contents is what folder made, read back.
func contents(t testing.TB, root *os.Root) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case entry.IsDir():
			all[name+"/"] = ""
			return nil
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := root.Readlink(name)
			all[name] = "-> " + target
			return err
		}
		data, err := root.ReadFile(name)
		all[name] = string(data)
		return err
	}))
	return all
}

func TestChoose(t *testing.T) {
	root := folder(t, map[string]string{
		"a.txt": "", "dist/app": "", "dist/sub/lib.so": "", "dist/empty/": "", ".git/config": "", "dist/.git/x": "", "x/.GIT": "",
		"deep/one/r.xml": "", "deep/two/r.xml": "", "deep/two/r.txt": "", "in": "-> dist",
	})
	for _, tt := range []struct{ patterns, want string }{
		{"a.txt", "a.txt"},
		{"missing", ""},
		{"dist", "dist dist/app dist/empty dist/sub dist/sub/lib.so"},
		{"./dist/", "dist dist/app dist/empty dist/sub dist/sub/lib.so"},
		{"dist/**", "dist dist/app dist/empty dist/sub dist/sub/lib.so"},
		{"dist/*", "dist/app dist/empty dist/sub dist/sub/lib.so"},
		{"deep/**/*.xml", "deep/one/r.xml deep/two/r.xml"},
		{"**/*.{xml,txt}", "a.txt deep/one/r.xml deep/two/r.txt deep/two/r.xml"},
		{".git", ""},
		{".git/config", ""},
		{"in/app", ""},
		{"in", "in"},
		{"a.txt deep/two/*", "a.txt deep/two/r.txt deep/two/r.xml"},
		{"dist !dist/sub", "dist dist/app dist/empty"},
		{"deep !**/*.xml deep/one/*", "deep deep/one deep/one/r.xml deep/two deep/two/r.txt"},
		{"!dist !in !deep/**", "a.txt x"},
	} {
		got, err := Choose(root, strings.Fields(tt.patterns), 100)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("Choose(%q) = %q, %v; want %q", tt.patterns, got, err, tt.want)
		}
	}
	for _, bad := range []string{"", "/etc/passwd", "../x", "a/../../x", "[", ".."} {
		if got, err := Choose(root, []string{bad}, 100); !errors.Is(err, ErrRefused) {
			t.Errorf("Choose(%q) = %q, %v; want a refusal", bad, got, err)
		}
	}
	if _, err := Choose(root, []string{"**"}, 3); !errors.Is(err, ErrRefused) {
		t.Errorf("Choose of more than it may = %v; want a refusal", err)
	}
}

// What is packed comes out as it was: artifacts as plain files, a cache with
// folders, links, rights and times.
func TestPackUnpack(t *testing.T) {
	from := folder(t, map[string]string{
		"out/tool": "#!/bin/sh\n", "out/data": strings.Repeat("data ", 1000), "out/latest": "-> data", "out/dir": "-> sub",
		"out/sub/x": "x", "out/none/": "", "other": "no",
	})
	at := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	must(t, from.Chmod("out/tool", 0o755))
	must(t, from.Chtimes("out/data", at, at))
	must(t, from.Chmod("out/sub", 0o555))
	t.Cleanup(func() { _ = from.Chmod("out/sub", 0o755) })
	for kind, want := range map[Kind]map[string]string{
		Artifacts: {
			"out/": "", "out/tool": "#!/bin/sh\n", "out/data": strings.Repeat("data ", 1000),
			"out/latest": strings.Repeat("data ", 1000), "out/sub/": "", "out/sub/x": "x",
		},
		Cache: {
			"out/": "", "out/tool": "#!/bin/sh\n", "out/data": strings.Repeat("data ", 1000),
			"out/latest": "-> data", "out/dir": "-> sub", "out/sub/": "", "out/sub/x": "x", "out/none/": "",
		},
	} {
		var pack, again bytes.Buffer
		files, err := Pack(t.Context(), &pack, from, []string{"out"}, kind, DefaultLimits())
		must(t, err)
		_, err = Pack(t.Context(), &again, from, []string{"out"}, kind, DefaultLimits())
		must(t, err)
		if !bytes.Equal(pack.Bytes(), again.Bytes()) {
			t.Errorf("kind %d: two packs of the same files differ", kind)
		}
		to := folder(t, nil)
		n, size, err := Unpack(t.Context(), &pack, to, kind, DefaultLimits())
		must(t, err)
		if diff := cmp.Diff(want, contents(t, to)); diff != "" {
			t.Errorf("kind %d (-want +got):\n%s", kind, diff)
		}
		if n != len(files) || size == 0 {
			t.Errorf("kind %d: Unpack = %d files, %d bytes; %d were packed", kind, n, size, len(files))
		}
		tool, err := to.Stat("out/tool")
		must(t, err)
		data, err := to.Stat("out/data")
		must(t, err)
		if tool.Mode().Perm()&0o111 == 0 || data.ModTime().Equal(at) != (kind == Cache) {
			t.Errorf("kind %d: mode %v, time %v", kind, tool.Mode(), data.ModTime())
		}
		if kind == Cache {
			sub, err := to.Stat("out/sub")
			must(t, err)
			if sub.Mode().Perm() != 0o555 {
				t.Errorf("out/sub has the mode %v", sub.Mode())
			}
			must(t, to.Chmod("out/sub", 0o755)) // to be removed
		}
	}
}

// Packing artifacts at another time, in another place, gives the same bytes.
func TestArtifactsAreReproducible(t *testing.T) {
	var packs [2]bytes.Buffer
	for i := range packs {
		root := folder(t, map[string]string{"a/x": "one", "a/y": strings.Repeat("two", 1<<20), "z": "three"})
		must(t, root.Chtimes("a/x", time.Time{}, time.Unix(int64(i)*1000, 0)))
		_, err := Pack(t.Context(), &packs[i], root, []string{"**"}, Artifacts, DefaultLimits())
		must(t, err)
	}
	if !bytes.Equal(packs[0].Bytes(), packs[1].Bytes()) {
		t.Error("the same files gave different bytes")
	}
}

func TestPackRefuses(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"a link out":               {"x": "-> /etc/passwd"},
		"a link up":                {"x": "-> ../y"},
		"a link into .git":         {"x": "-> .git/config", ".git/config": "secret"},
		"a link through a link":    {"x": "-> g/config", "g": "-> .git", ".git/config": "secret"},
		"a link to nothing":        {"x": "-> missing"},
		"links in a circle":        {"x": "-> y", "y": "-> x"},
		"a name that is no text":   {"x/\xff": ""},
		"a name with a line break": {"x/a\nb": ""},
	} {
		if _, err := Pack(t.Context(), io.Discard, folder(t, files), []string{"x"}, Artifacts, DefaultLimits()); !errors.Is(err, ErrRefused) {
			t.Errorf("Pack of %s = %v; want a refusal", name, err)
		}
	}
	root := folder(t, map[string]string{"x": strings.Repeat("x", 100), "y": ""})
	for _, limits := range []Limits{{Files: 1, Bytes: 1000, Ratio: 1000}, {Files: 10, Bytes: 99, Ratio: 1000}} {
		if _, err := Pack(t.Context(), io.Discard, root, []string{"**"}, Artifacts, limits); !errors.Is(err, ErrRefused) {
			t.Errorf("Pack within %+v = %v; want a refusal", limits, err)
		}
	}
}

func TestExtract(t *testing.T) {
	var pack bytes.Buffer
	_, err := Pack(t.Context(), &pack, folder(t, map[string]string{"a": "one", "b/c": "two"}), []string{"**"}, Artifacts, DefaultLimits())
	must(t, err)
	var got bytes.Buffer
	err = Extract(t.Context(), bytes.NewReader(pack.Bytes()), "b/c", Artifacts, DefaultLimits(), &got)
	if err != nil || got.String() != "two" {
		t.Errorf("Extract = %q, %v", got.String(), err)
	}
	if err := Extract(t.Context(), bytes.NewReader(pack.Bytes()), "b", Artifacts, DefaultLimits(), &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Extract of a folder = %v; want fs.ErrNotExist", err)
	}
	if err := Extract(t.Context(), bytes.NewReader(pack.Bytes()[:pack.Len()-4]), "a", Artifacts, DefaultLimits(), &got); err == nil {
		t.Error("Extract from a stream that was cut off succeeded")
	}
}
