package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"

	"github.com/velocity-ci/velocity/app/api"
)

// attemptUser is the name under which an attempt's credential is sent.
const attemptUser = "attempt"

// Blobs asks a server for artifacts and caches, and leaves them there, with the
// credentials of attempts. It is safe for concurrent use.
type Blobs struct{ of *Client }

// RemoteBlobs is for the server at an address that ParseServer accepted, whose
// certificate must be from one of the authorities; nil are those of the machine.
func RemoteBlobs(server *url.URL, authorities *x509.CertPool) *Blobs {
	return &Blobs{of: Remote(server, authorities, "", "")}
}

// Put sends content of so many bytes and this SHA-256, in hex.
func (b *Blobs) Put(ctx context.Context, credential, sum string, size int64, content io.Reader) error {
	resp, err := b.send(ctx, credential, http.MethodPut, api.PathPacks+sum, size, content)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Keep records content that was put as an attempt's artifacts.
func (b *Blobs) Keep(ctx context.Context, credential string, kept api.Kept) error {
	return b.record(ctx, credential, api.PathKept, kept)
}

// KeepCache records content that was put as a cache.
func (b *Blobs) KeepCache(ctx context.Context, credential, name string, kept api.Kept) error {
	return b.record(ctx, credential, api.PathKeptCaches+url.PathEscape(name), kept)
}

func (b *Blobs) record(ctx context.Context, credential, path string, kept api.Kept) error {
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	resp, err := b.send(ctx, credential, http.MethodPut, path, int64(len(data)), bytes.NewReader(data))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Needed reads what the nth of the attempt's needs kept; nil if that is no file.
func (b *Blobs) Needed(ctx context.Context, credential string, n int) (io.ReadCloser, error) {
	return b.get(ctx, credential, fmt.Sprint(api.PathNeeded, n))
}

// Cache reads a cache.
func (b *Blobs) Cache(ctx context.Context, credential, name string) (io.ReadCloser, error) {
	return b.get(ctx, credential, api.PathKeptCaches+url.PathEscape(name))
}

// get reads content and checks at its end that it is what was said.
func (b *Blobs) get(ctx context.Context, credential, path string) (io.ReadCloser, error) {
	resp, err := b.send(ctx, credential, http.MethodGet, path, 0, http.NoBody)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNoContent {
		return nil, resp.Body.Close()
	}
	return &checked{ReadCloser: resp.Body, sum: sha256.New(), want: resp.Header.Get(api.HeaderSum)}, nil
}

func (b *Blobs) send(ctx context.Context, credential, method, path string, size int64, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.of.base+path, body)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(attemptUser, credential)
	if req.ContentLength = size; size > 0 {
		req.Header.Set("Expect", "100-continue") // it may be there already, or not be wanted
	}
	return b.of.answered(req)
}

// errOther says that content came as something else than was said.
var errOther = errors.New("the server sent other content than it said")

// A checked reader tells of its end only once all was as it should be.
type checked struct {
	io.ReadCloser
	sum  hash.Hash
	want string
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(c.sum.Sum(nil)) != c.want {
		return n, errOther
	}
	return n, err
}

// Artifacts lists what the tasks of a build kept and still have.
func (c *Client) Artifacts(ctx context.Context, build string) ([]api.Artifacts, error) {
	var all []api.Artifacts
	err := c.get(ctx, c.about(api.PathBuild+url.PathEscape(build)+"/artifacts", ""), &all)
	return all, err
}

// Pack reads the artifacts of a task, as they are packed.
func (c *Client) Pack(ctx context.Context, build, task string) (io.ReadCloser, error) {
	return c.download(ctx, api.PathBuild+url.PathEscape(build)+"/artifacts/"+url.PathEscape(task))
}

// File reads one of the artifacts of a task.
func (c *Client) File(ctx context.Context, build, task, name string) (io.ReadCloser, error) {
	path := &url.URL{Path: name} // slashes stay
	return c.download(ctx, api.PathBuild+url.PathEscape(build)+"/artifacts/"+url.PathEscape(task)+"/"+path.EscapedPath())
}

func (c *Client) download(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := c.ask(ctx, http.MethodGet, c.about(path, ""), nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
