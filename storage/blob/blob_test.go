package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// open is a store in a folder of its own, and that folder.
func open(t *testing.T) (*Store, string, *clock) {
	t.Helper()
	dir, c := t.TempDir(), &clock{at: time.Now().UTC().Truncate(time.Millisecond)}
	return in(t, dir, "k3f9a2", c), dir, c
}

func in(t *testing.T, dir, repository string, c *clock) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, repository, disk{}, c.now)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// disk makes folders for one user.
type disk struct{}

func (disk) MakeFolder(path string) error { return os.MkdirAll(path, 0o700) }
func (disk) Share(string) error           { return nil }

// cached is the content of a cache.
func cached(t *testing.T, s *Store, class, name string) (string, error) {
	t.Helper()
	r, _, err := s.OpenCache(t.Context(), class, name)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refOf(text string) Ref {
	sum := sha256.Sum256([]byte(text))
	return Ref{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(text))}
}

func put(t *testing.T, s *Store, text string) Ref {
	t.Helper()
	must(t, s.Put(t.Context(), refOf(text), strings.NewReader(text)))
	return refOf(text)
}

func text(t *testing.T, s *Store, ref Ref) (string, error) {
	t.Helper()
	r, err := s.Open(t.Context(), ref)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

// files lists what lies in a folder.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return all
}

func TestContent(t *testing.T) {
	s, dir, _ := open(t)
	ref := put(t, s, "hello")
	put(t, s, "hello")
	if got, err := text(t, s, ref); got != "hello" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	want := []string{"k3f9a2/blobs/" + ref.SHA256[:2] + "/" + ref.SHA256}
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for name, r := range map[string]io.Reader{
		"other bytes": strings.NewReader("jello"), "more": strings.NewReader("hello!"), "less": strings.NewReader("hell"),
		"a failure": io.MultiReader(strings.NewReader("he"), failing{}),
	} {
		bad := Ref{SHA256: refOf("another").SHA256, Size: 5}
		if name != "other bytes" {
			bad = Ref{SHA256: refOf("hello").SHA256, Size: 5}
			must(t, s.bucket.Delete(t.Context(), ref.key()))
		}
		if err := s.Put(t.Context(), bad, r); err == nil {
			t.Errorf("Put of %s succeeded", name)
		}
		if _, err := s.Open(t.Context(), bad); !errors.Is(err, ErrNone) {
			t.Errorf("after Put of %s: %v; want ErrNone", name, err)
		}
		put(t, s, "hello")
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("files that were not kept: %q", got)
	}
	for _, sum := range []string{"", "../../x", strings.Repeat("G", 64), strings.Repeat("a", 63)} {
		if err := s.Put(t.Context(), Ref{SHA256: sum}, bytes.NewReader(nil)); err == nil {
			t.Errorf("Put of %q succeeded", sum)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the line went dead") }

// A damaged file is found out when it is read, and makes room for a good one.
func TestDamage(t *testing.T) {
	s, dir, _ := open(t)
	ref := put(t, s, "hello")
	must(t, s.KeepCache(t.Context(), "trusted", refOf("key").SHA256, ref))
	must(t, os.WriteFile(filepath.Join(dir, "k3f9a2", filepath.FromSlash(ref.key())), []byte("jello"), 0o600))
	r, _, err := s.OpenCache(t.Context(), "trusted", refOf("key").SHA256)
	must(t, err)
	_, err = io.ReadAll(r)
	must(t, r.Close())
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("reading damaged content: %v", err)
	}
	if _, _, err := s.OpenCache(t.Context(), "trusted", refOf("key").SHA256); !errors.Is(err, ErrNone) {
		t.Errorf("opening what was damaged: %v; want ErrNone", err)
	}
	put(t, s, "hello")
	must(t, s.KeepCache(t.Context(), "trusted", refOf("key").SHA256, ref))
}

func TestArtifacts(t *testing.T) {
	s, _, c := open(t)
	kept := func(build int64, task string, attempt int, text string) Artifacts {
		a := Artifacts{Build: build, Task: task, Attempt: attempt, Created: c.now()}
		if text != "" {
			a.Pack, a.Files = put(t, s, text), []File{{Name: "a/" + text, Size: 7, SHA256: refOf("x").SHA256}}
		}
		must(t, s.KeepArtifacts(t.Context(), a))
		return a
	}
	kept(12, "s0t10", 1, "first")
	want := []Artifacts{kept(12, "s0t2", 10, "second"), kept(12, "s0t10", 2, ""), kept(12, "s1t0", 1, "first")}
	kept(12, "s0t2", 9, "late")
	kept(120, "s0t0", 1, "other build")
	got, err := s.OfBuild(t.Context(), 12)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("OfBuild (-want +got):\n%s", diff)
	}
	if a, err := s.Artifacts(t.Context(), 12, "s0t2"); err != nil || a.Attempt != 10 {
		t.Errorf("Artifacts = %+v, %v", a, err)
	}
	if _, err := s.Artifacts(t.Context(), 13, "s0t2"); !errors.Is(err, ErrNone) {
		t.Errorf("artifacts that are not there: %v", err)
	}
	bad := want[0]
	bad.Pack = refOf("never put")
	if err := s.KeepArtifacts(t.Context(), bad); err == nil {
		t.Error("a record of content that was never put was written")
	}
	bad.Task = "../../x"
	if err := s.KeepArtifacts(t.Context(), bad); err == nil {
		t.Error("a record of a task that cannot be was written")
	}

	// A purge takes what only the build named.
	must(t, s.Forget(t.Context(), []int64{12}))
	if _, err := text(t, s, refOf("second")); !errors.Is(err, ErrNone) {
		t.Errorf("content of a purged build: %v", err)
	}
	if all, err := s.OfBuild(t.Context(), 120); err != nil || len(all) != 1 {
		t.Errorf("the other build has %v, %v", all, err)
	}
}

// What one repository keeps does not exist for another, not even by its sum.
func TestRepositoriesAreApart(t *testing.T) {
	s, dir, c := open(t)
	other := in(t, dir, "aaaaaa", c)
	name := refOf("key").SHA256
	ref := put(t, s, "secret")
	must(t, s.KeepCache(t.Context(), "trusted", name, ref))
	must(t, s.KeepArtifacts(t.Context(), Artifacts{Build: 1, Task: "s0t0", Attempt: 1, Pack: ref, Files: []File{{Name: "x"}}}))
	if _, err := text(t, other, ref); !errors.Is(err, ErrNone) {
		t.Errorf("content of another repository: %v", err)
	}
	if _, _, err := other.OpenCache(t.Context(), "trusted", name); !errors.Is(err, ErrNone) {
		t.Errorf("a cache of another repository: %v", err)
	}
	if all, err := other.OfBuild(t.Context(), 1); err != nil || len(all) != 0 {
		t.Errorf("artifacts of another repository: %v, %v", all, err)
	}
	if err := other.KeepCache(t.Context(), "trusted", name, ref); err == nil {
		t.Error("a record of another repository's content was written")
	}
	c.pass(48 * time.Hour)
	_, err := other.Retain(t.Context(), Retention{}, false)
	must(t, err)
	if got, err := text(t, s, ref); got != "secret" {
		t.Errorf("after another repository's retention: %q, %v", got, err)
	}
	for _, bad := range []string{"", "../k3f9a2", "K", "a/b"} {
		if _, err := Open(t.Context(), dir, bad, disk{}, c.now); err == nil {
			t.Errorf("Open for %q succeeded", bad)
		}
	}
	for _, bad := range []string{"relative", "file:///tmp", "mem://x", "http://x"} {
		if _, err := Open(t.Context(), bad, "k3f9a2", disk{}, c.now); err == nil {
			t.Errorf("Open at %q succeeded", bad)
		}
	}
}

// Classes of trust are apart, too, and the first cache of a name stays.
func TestCaches(t *testing.T) {
	s, _, _ := open(t)
	name := refOf("key").SHA256
	must(t, s.KeepCache(t.Context(), "trusted", name, put(t, s, "one")))
	if err := s.KeepCache(t.Context(), "trusted", name, put(t, s, "two")); !errors.Is(err, ErrKept) {
		t.Errorf("a second cache of the name: %v; want ErrKept", err)
	}
	if _, _, err := s.OpenCache(t.Context(), "local", name); !errors.Is(err, ErrNone) {
		t.Errorf("a cache of another class: %v", err)
	}
	if got, err := cached(t, s, "trusted", name); got != "one" || err != nil {
		t.Errorf("the cache is %q, %v", got, err)
	}
	for _, bad := range [][2]string{{"../x", name}, {"", name}, {"trusted", "x"}} {
		if err := s.KeepCache(t.Context(), bad[0], bad[1], refOf("one")); err == nil {
			t.Errorf("a cache at %q was kept", bad)
		}
	}
}

func TestRetain(t *testing.T) {
	s, dir, c := open(t)
	keepArtifacts := func(build int64, text string) {
		t.Helper()
		must(t, s.KeepArtifacts(t.Context(), Artifacts{Build: build, Task: "s0t0", Attempt: 1, Pack: put(t, s, text), Files: []File{{Name: text}}}))
	}
	keepArtifacts(1, "shared")
	keepArtifacts(2, "old")
	must(t, s.KeepCache(t.Context(), "trusted", refOf("used").SHA256, put(t, s, "used")))
	must(t, s.KeepCache(t.Context(), "trusted", refOf("unused").SHA256, put(t, s, "unused")))
	put(t, s, "named by nothing")
	must(t, os.WriteFile(filepath.Join(dir, "k3f9a2", "artifacts", "x.json.18f.tmp"), nil, 0o600))
	all := Retention{Artifacts: Bound{Age: 30 * 24 * time.Hour}, Caches: Bound{Age: 30 * 24 * time.Hour}}

	if d, err := s.Retain(t.Context(), all, false); err != nil || d != (Dropped{}) {
		t.Fatalf("nothing is old, and it dropped %+v, %v", d, err)
	}
	c.pass(20 * 24 * time.Hour)
	keepArtifacts(3, "shared")
	r, _, err := s.OpenCache(t.Context(), "trusted", refOf("used").SHA256)
	must(t, err)
	must(t, r.Close())
	c.pass(20 * 24 * time.Hour)
	keepArtifacts(4, "new")
	must(t, s.KeepCache(t.Context(), "trusted", refOf("mine").SHA256, put(t, s, "named by nothing but this cache")))

	want := Dropped{Artifacts: 2, Caches: 1, Blobs: 4, Bytes: int64(len("old" + "unused" + "named by nothing"))}
	for _, dry := range []bool{true, false} {
		d, err := s.Retain(t.Context(), all, dry)
		if diff := cmp.Diff(want, d); diff != "" || err != nil {
			t.Errorf("dry %v: %v (-want +got):\n%s", dry, err, diff)
		}
	}
	for text_, stays := range map[string]bool{"shared": true, "old": false, "new": true, "used": true, "unused": false, "named by nothing": false} {
		if _, err := text(t, s, refOf(text_)); (err == nil) != stays {
			t.Errorf("%q: %v; want it there: %v", text_, err, stays)
		}
	}

	// by size, the newest stays
	d, err := s.Retain(t.Context(), Retention{Artifacts: Bound{Bytes: 5}}, true)
	if err != nil || d.Artifacts != 1 {
		t.Errorf("by size: %+v, %v", d, err)
	}
}

// Whoever puts content has a day to name it, also if the same content lay there
// unnamed for long.
func TestRetainLeavesWritersTime(t *testing.T) {
	s, _, c := open(t)
	put(t, s, "x")
	c.pass(47 * time.Hour) // of an injected clock: files have the real one
	s2 := &Store{bucket: s.bucket, folder: s.folder, now: time.Now}
	ref := put(t, s, "x") // older than half its grace: written anew
	if d, err := s2.Retain(t.Context(), Retention{}, false); err != nil || d != (Dropped{}) {
		t.Fatalf("Retain = %+v, %v", d, err)
	}
	must(t, s2.KeepCache(t.Context(), "trusted", refOf("key").SHA256, ref))
}
