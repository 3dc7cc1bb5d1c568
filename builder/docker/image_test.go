package docker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/velocity-ci/velocity/builder/executor"
)

// An imageServer is a registry that serves one image, enough for an engine to pull it.
type imageServer struct {
	ref      string            // the image's reference
	asked    atomic.Int64      // times it was asked for the image's manifest
	blobs    map[string][]byte // by digest, the manifest included
	manifest string            // its digest
}

func newImageServer(t *testing.T) *imageServer {
	t.Helper()
	layer, err := busyboxTree()
	if err != nil {
		t.Fatal(err)
	}
	r := &imageServer{blobs: map[string][]byte{}}
	add := func(mediaType string, content []byte) ocispec.Descriptor {
		id := digest.FromBytes(content)
		r.blobs[id.String()] = content
		return ocispec.Descriptor{MediaType: mediaType, Digest: id, Size: int64(len(content))}
	}
	asJSON := func(v any) []byte {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	layerAt := add(ocispec.MediaTypeImageLayer, layer)
	configAt := add(ocispec.MediaTypeImageConfig, asJSON(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layerAt.Digest}},
	}))
	r.manifest = add(ocispec.MediaTypeImageManifest, asJSON(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: configAt, Layers: []ocispec.Descriptor{layerAt},
	})).Digest.String()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.ref = strings.TrimPrefix(server.URL, "http://") + "/" + strings.ToLower(rand.Text()) + ":1"
	t.Cleanup(func() { _, _ = newClient(t).ImageRemove(context.Background(), r.ref, image.RemoveOptions{}) })
	return r
}

func (r *imageServer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	name := q.URL.Path[strings.LastIndex(q.URL.Path, "/")+1:]
	if strings.Contains(q.URL.Path, "/manifests/") {
		r.asked.Add(1)
		name = r.manifest
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
	}
	content, ok := r.blobs[name]
	if !ok && q.URL.Path != "/v2/" {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Docker-Content-Digest", name)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content)
}

func TestPull(t *testing.T) {
	e := newExecutor(t, Limits{})
	r := newImageServer(t)
	cmd := shell(t, "echo ran")
	cmd.Image = r.ref
	run := func(pull executor.Pull, asks bool) {
		t.Helper()
		before := r.asked.Load()
		cmd.Pull = pull
		got := mustRun(t, e, cmd)
		if want := "sha256:" + fmt.Sprintf("%x", sha256.Sum256(r.config(t))); got.Stdout != "ran\n" || got.Image != want {
			t.Errorf("pull %q: stdout %q, image %s, want %s", pull, got.Stdout, got.Image, want)
		}
		if asked := r.asked.Load() > before; asked != asks {
			t.Errorf("pull %q: registry asked: %v, want %v", pull, asked, asks)
		}
	}

	cmd.Pull = executor.PullNever
	_, err := e.Run(t.Context(), cmd)
	wantStartError(t, err, r.ref, "is not on this builder")
	if r.asked.Load() != 0 {
		t.Error("pull never asked the registry")
	}
	run("", true)  // absent: fetched
	run("", false) // present: left alone
	run(executor.PullMissing, false)
	run(executor.PullNever, false)
	run(executor.PullAlways, true)
}

func (r *imageServer) config(t *testing.T) []byte {
	t.Helper()
	var m ocispec.Manifest
	if err := json.Unmarshal(r.blobs[r.manifest], &m); err != nil {
		t.Fatal(err)
	}
	return r.blobs[m.Config.Digest.String()]
}

func TestImageCannotBePulled(t *testing.T) {
	e := newExecutor(t, Limits{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody listens there now
	for _, ref := range []string{l.Addr().String() + "/none:1", "Not A Reference"} {
		for _, pull := range []executor.Pull{executor.PullMissing, executor.PullAlways} {
			cmd := shell(t, "true")
			cmd.Image, cmd.Pull = ref, pull
			_, err := e.Run(t.Context(), cmd)
			wantStartError(t, err, ref)
			if errors.Is(err, executor.ErrEngine) {
				t.Errorf("Run: %v blames the engine", err)
			}
		}
	}
}

// The engine answers 200 and then fails, or vanishes.
func TestPullOutcome(t *testing.T) {
	const progress = `{"status":"Pulling"}` + "\n"
	for _, c := range []struct {
		body, refusal string
		broken        bool
	}{
		{"", "", false},
		{progress + progress, "", false},
		{progress + `{"errorDetail":{"code":1},"error":"gone"}` + "\n" + progress, "gone", false},
		{progress + `{"status":`, "", true},
	} {
		refusal, err := readMessages(strings.NewReader(c.body), func(message) error { return nil })
		if refusal != c.refusal || (err != nil) != c.broken {
			t.Errorf("readMessages(%q) = %q, %v, want %q, broken: %v", c.body, refusal, err, c.refusal, c.broken)
		}
	}
}

// On a rootless engine the container's root is the builder's own user already.
func TestRootlessEngineKeepsTheImagesUser(t *testing.T) {
	asked := 0
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if strings.HasSuffix(q.URL.Path, "/info") {
			asked++
			fmt.Fprint(w, `{"SecurityOptions":["name=seccomp,profile=default","name=rootless"]}`)
		}
	}))
	server.Listener = l
	server.Start()
	defer server.Close()
	e, err := New(Config{Engine: []client.Opt{client.WithHost("unix://" + l.Addr().String())}})
	if err != nil {
		t.Fatal(err)
	}
	e.uid, e.gid = 4321, 4321
	for range 2 {
		user, env, err := e.identity(t.Context(), executor.Command{})
		if user != "" || len(env) != 0 || err != nil {
			t.Errorf("identity = %q, %q, %v, want the image's own", user, env, err)
		}
	}
	if asked != 1 {
		t.Errorf("the engine was asked %d times, want once", asked)
	}
}
