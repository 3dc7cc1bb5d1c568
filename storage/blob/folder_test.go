package blob

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// journal notes the syncs of a store in a folder, and whether the name that is
// made was there at that time. One of them may be made to fail.
type journal struct {
	dir  string
	fail string
	said []string
}

var errDisk = errors.New("input/output error")

func (j *journal) before(op, path string) error {
	at := strings.TrimPrefix(path, j.dir+"/")
	if op == "sync" { // the driver's temporary name is that of the file and more
		final := path[:strings.LastIndex(strings.TrimSuffix(path, torn), ".")]
		at = strings.TrimPrefix(final, j.dir+"/")
		if _, err := os.Stat(final); err == nil {
			op = "sync too late"
		}
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			op = "sync too early"
		}
	}
	j.said = append(j.said, op+" "+at)
	if op == j.fail {
		return errDisk
	}
	return nil
}

// What is kept is on disk before its name shows it, and so is its name before
// anybody hears of it.
func TestKeptContentIsDurable(t *testing.T) {
	s, dir, _ := open(t)
	j := &journal{dir: filepath.Join(dir, "k3f9a2")}
	s.folder.fault = j.before
	ref := put(t, s, "content")
	must(t, s.Put(t.Context(), ref, strings.NewReader("content"))) // another may have just written it
	must(t, s.KeepCache(t.Context(), "trusted", ref.SHA256, ref))
	must(t, s.KeepArtifacts(t.Context(), Artifacts{Build: 7, Task: "s0t0", Attempt: 1, Pack: ref, Files: []File{{Name: "x"}}}))
	blobs := "blobs/" + ref.SHA256[:2]
	want := []string{
		"sync " + blobs + "/" + ref.SHA256, "syncdir " + blobs,
		"syncdir " + blobs,
		"sync caches/trusted/" + ref.SHA256 + ".json", "syncdir caches/trusted",
		"sync artifacts/0000000007/s0t0.1.json", "syncdir artifacts/0000000007",
	}
	if diff := cmp.Diff(want, j.said); diff != "" {
		t.Errorf("syncs (-want +got):\n%s", diff)
	}
}

// A disk that fails is heard of, and shows nothing that it may not have.
func TestWhatIsNotDurableIsNotKept(t *testing.T) {
	for _, fail := range []string{"sync", "syncdir"} {
		s, dir, _ := open(t)
		s.folder.fault = (&journal{dir: filepath.Join(dir, "k3f9a2"), fail: fail}).before
		ref := refOf("content")
		if err := s.Put(t.Context(), ref, strings.NewReader("content")); !errors.Is(err, errDisk) {
			t.Errorf("%s fails: Put = %v", fail, err)
		}
		if left := files(t, dir); fail == "sync" && len(left) > 0 {
			t.Errorf("%s fails, and %q is there", fail, left)
		}
		s.folder.fault = nil
		put(t, s, "content")
		s.folder.fault = (&journal{dir: filepath.Join(dir, "k3f9a2"), fail: fail}).before
		if err := s.KeepCache(t.Context(), "trusted", ref.SHA256, ref); !errors.Is(err, errDisk) {
			t.Errorf("%s fails: KeepCache = %v", fail, err)
		}
	}
}
