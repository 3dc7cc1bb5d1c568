package web_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/storage/blob"
)

// An attempt has what its assignment says, in its own repository, and nobody else
// has anything, whatever they send.
func TestBlobsAreForAttempts(t *testing.T) {
	r := newRig(t)
	dir, held := t.TempDir(), map[string]dispatch.Assignment{}
	for name, a := range map[string]dispatch.Assignment{
		"writer":   {Caches: dispatch.TrustedCaches, CacheWrite: true},
		"reader":   {Caches: dispatch.TrustedCaches},
		"stranger": {},
		"other":    {Caches: dispatch.TrustedCaches, CacheWrite: true},
	} {
		a.Attempt = dispatch.Attempt{Build: build.ID{Store: "aaaaaa", Number: 7}, Task: "s0t0", Number: 1}
		if name == "other" {
			a.Attempt.Build.Store = "bbbbbb"
		}
		held[name] = a
	}
	r.front.Blobs = &web.Blobs{
		Holds: func(credential string) (dispatch.Assignment, bool) { a, ok := held[credential]; return a, ok },
		Store: func(ctx context.Context, of build.ID) (*blob.Store, error) {
			return blob.Open(ctx, dir, of.Store, r.now)
		},
		Limit: 100,
	}
	sum := sha256.Sum256([]byte("content"))
	digest, name := hex.EncodeToString(sum[:]), strings.Repeat("0a", 32)
	record := fmt.Sprintf(`{"sha256":%q,"size":7}`, digest)
	for i, tt := range []struct {
		as, method, path, body string
		want                   int
	}{
		{"", "PUT", "/blobs/packs/" + digest, "content", 401},
		{"nobody", "PUT", "/blobs/packs/" + digest, "content", 401},
		{"writer", "PUT", "/blobs/packs/" + digest, "content", 204},
		{"writer", "PUT", "/blobs/packs/" + digest, "content", 204},
		{"writer", "PUT", "/blobs/packs/" + name, "other", 500},
		{"writer", "PUT", "/blobs/packs/" + digest, strings.Repeat("x", 101), 413},
		{"reader", "PUT", "/blobs/caches/" + name, record, 403},
		{"stranger", "PUT", "/blobs/caches/" + name, record, 403},
		{"other", "PUT", "/blobs/caches/" + name, record, 500}, // its repository has no such content
		{"reader", "GET", "/blobs/caches/" + name, "", 404},
		{"writer", "PUT", "/blobs/caches/" + name, record, 204},
		{"writer", "PUT", "/blobs/caches/" + name, record, 204},
		{"reader", "GET", "/blobs/caches/" + name, "", 200},
		{"stranger", "GET", "/blobs/caches/" + name, "", 403},
		{"other", "GET", "/blobs/caches/" + name, "", 404},
		{"writer", "GET", "/blobs/artifacts/0", "", 403}, // it needs nothing
		{"writer", "GET", "/blobs/packs/" + digest, "", 405},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, r.url+tt.path, bytes.NewReader([]byte(tt.body)))
		if err != nil {
			t.Fatal(err)
		}
		if tt.as != "" {
			req.SetBasicAuth("attempt", tt.as)
		}
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%d: %s %s as %q = %d; want %d", i, tt.method, tt.path, tt.as, resp.StatusCode, tt.want)
		}
	}
}
