package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"
	"golang.org/x/crypto/bcrypt"

	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/require"
)

// A realRegistry is Debian's docker-registry behind a proxy, so that it can be
// made to fail. Who wants in must say the password.
type realRegistry struct {
	host  string // of the proxy
	user  executor.Login
	fails atomic.Int32 // requests for manifests that are still answered 503
	asked atomic.Int32 // requests to put a manifest
}

func startRegistry(tb testing.TB) *realRegistry {
	tb.Helper()
	program, err := exec.LookPath("docker-registry")
	require.Have(tb, "registry", err)
	dir := tb.TempDir()
	password := rand.Text()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		tb.Fatal(err)
	}
	socket := filepath.Join(dir, "socket") // nobody can take it as they can a port
	config := fmt.Sprintf(`version: 0.1
storage: {filesystem: {rootdirectory: %q}}
http: {net: unix, addr: %q}
auth: {htpasswd: {realm: test, path: %q}}
`, filepath.Join(dir, "data"), socket, filepath.Join(dir, "htpasswd"))
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "htpasswd"), []byte("ada:"+string(hash)+"\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "config.yml"), []byte(config), 0o600))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "serve", filepath.Join(dir, "config.yml"))
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stop(); _ = cmd.Wait() })
	awaitListening(tb, socket)
	r := &realRegistry{}
	server := &http.Server{Handler: r.proxy(socket), ReadHeaderTimeout: time.Minute}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(func() { server.Close() })
	r.host = listener.Addr().String()
	r.user = executor.Login{Registry: r.host, Username: "ada", Password: password}
	return r
}

// proxy passes everything on to the registry but the requests that shall fail.
func (r *realRegistry) proxy(socket string) http.Handler {
	pass := &httputil.ReverseProxy{
		Rewrite: func(q *httputil.ProxyRequest) {
			q.SetURL(&url.URL{Scheme: "http", Host: "registry"})
			q.Out.Host = q.In.Host // so that it sends its clients here
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/") {
			r.asked.Add(1)
			if r.fails.Add(-1) >= 0 {
				http.Error(w, "out of order", http.StatusServiceUnavailable)
				return
			}
		}
		pass.ServeHTTP(w, q)
	})
}

// awaitListening returns once somebody takes connections there.
func awaitListening(tb testing.TB, socket string) {
	tb.Helper()
	for tb.Context().Err() == nil {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return
		}
	}
	tb.Fatalf("nothing listens on %s", socket)
}

// tag names the test image as one of the registry's, until the test ends.
func (r *realRegistry) tag(tb testing.TB) string {
	tb.Helper()
	name := imageFor(tb)
	tag := r.host + "/" + strings.ToLower(rand.Text()) + ":1"
	api := newClient(tb)
	if err := api.ImageTag(tb.Context(), name, tag); err != nil {
		tb.Fatal(err)
	}
	forgetImage(tb, tag)
	return tag
}

// forgetImage removes a tag when the test ends, if it is there.
func forgetImage(tb testing.TB, tag string) {
	api := newClient(tb)
	tb.Cleanup(func() {
		_, _ = api.ImageRemove(context.Background(), tag, image.RemoveOptions{Force: true, PruneChildren: true})
	})
}

// wantImageError fails the test unless err is one whose text has all parts.
func wantImageError(tb testing.TB, err error, parts ...string) {
	tb.Helper()
	var asked *executor.ImageError
	if !errors.As(err, &asked) {
		tb.Fatalf("error = %v, want an *executor.ImageError", err)
	}
	for _, part := range parts {
		if !strings.Contains(asked.Error(), part) {
			tb.Errorf("error = %q, want it to contain %q", asked, part)
		}
	}
}

func impatient(e *Executor) {
	e.pause = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
}

func TestLogin(t *testing.T) {
	e := newExecutor(t, Limits{})
	impatient(e)
	r := startRegistry(t)
	loose := r.user
	loose.Registry = "http://" + r.host + "/v2/"
	if got, err := e.Login(t.Context(), loose); err != nil || got.Registry != r.host {
		t.Errorf("Login = %v, %v", got, err)
	}
	wrong := r.user
	wrong.Password = "something else"
	_, err := e.Login(t.Context(), wrong)
	wantImageError(t, err, "registry "+r.host+" refused the login of ada")
	if strings.Contains(err.Error(), wrong.Password) {
		t.Errorf("Login: %v tells the password", err)
	}
	nobody := r.user
	nobody.Registry = "127.0.0.1:1"
	_, err = e.Login(t.Context(), nobody)
	wantImageError(t, err, "registry "+nobody.Registry+" did not answer the login of ada")
}

func TestRegistryHost(t *testing.T) {
	for address, want := range map[string]string{
		"registry.example.com": "registry.example.com", "https://registry.example.com/": "registry.example.com",
		"localhost:5000": "localhost:5000", "localhost": "localhost", "[::1]:5000": "[::1]:5000",
		"https://index.docker.io/v1/": "docker.io", "docker.io": "docker.io",
		"": "", "registry": "", "-x.example.com": "", "user@example.com": "", "a b.c": "", "Registry Example.com": "",
	} {
		got, err := registryHost(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("registryHost(%q) = %q, %v; want %q", address, got, err, want)
		}
	}
}

// A pushed image has the digest under which the registry has it, and only who is
// logged in can push and pull.
func TestPushAndPull(t *testing.T) {
	e := newExecutor(t, Limits{})
	impatient(e)
	r := startRegistry(t)
	tag := r.tag(t)
	var log strings.Builder
	logins := []executor.Login{{Registry: "registry.example.com"}, r.user}
	pushed, err := e.Push(t.Context(), executor.ImagePush{Tags: []string{tag}, Logins: logins, Stdout: &log})
	if err != nil {
		t.Fatalf("Push: %v\n%s", err, &log)
	}
	if len(pushed) != 1 || pushed[0].Name != tag || !strings.HasPrefix(pushed[0].Digest, "sha256:") || !strings.Contains(log.String(), pushed[0].Digest) {
		t.Errorf("Push = %v; log %q", pushed, &log)
	}
	if lines := strings.Count(log.String(), "\n"); lines > 5 {
		t.Errorf("one layer took %d lines:\n%s", lines, &log)
	}
	for name, refused := range map[string][]executor.Login{"none": nil, "wrong": {{Registry: r.host, Username: "ada", Password: "wrong"}}} {
		before := r.asked.Load()
		_, err := e.Push(t.Context(), executor.ImagePush{Tags: []string{r.tag(t)}, Logins: refused, Stdout: io.Discard})
		wantImageError(t, err, "registry "+r.host, "did not take", "log in to "+r.host+" under docker.registries")
		if r.asked.Load() != before {
			t.Errorf("%s: it came to a manifest", name)
		}
	}

	cmd := shell(t, "echo pulled")
	cmd.Image = r.host + "/" + strings.Split(strings.TrimPrefix(tag, r.host+"/"), ":")[0] + "@" + pushed[0].Digest
	if _, err := newClient(t).ImageRemove(t.Context(), tag, image.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	forgetImage(t, cmd.Image)
	cmd.Pull = executor.PullAlways
	_, err = e.Run(t.Context(), cmd)
	wantStartError(t, err, "cannot be pulled", "logged in to its registry")
	cmd.Logins = logins
	if got := mustRun(t, e, cmd); got.Stdout != "pulled\n" {
		t.Errorf("Run printed %q", got.Stdout)
	}
}

// A registry that fails is asked again, and not for ever.
func TestPushTriesAgain(t *testing.T) {
	e := newExecutor(t, Limits{})
	impatient(e)
	r := startRegistry(t)
	push := executor.ImagePush{Tags: []string{r.tag(t)}, Logins: []executor.Login{r.user}, Stdout: io.Discard}
	r.fails.Store(2)
	if pushed, err := e.Push(t.Context(), push); err != nil || len(pushed) != 1 || pushed[0].Digest == "" {
		t.Errorf("Push after two failures = %v, %v", pushed, err)
	}
	r.fails.Store(1000)
	before := r.asked.Load()
	_, err := e.Push(t.Context(), push)
	wantImageError(t, err, "registry "+r.host+" did not take "+push.Tags[0], "503")
	if tries := r.asked.Load() - before; tries < int32(len(retryAfter))+1 {
		t.Errorf("it was asked %d times", tries)
	}
}

func TestPushOfWhatIsNotThere(t *testing.T) {
	e := newExecutor(t, Limits{})
	impatient(e)
	for tag, parts := range map[string][]string{
		"localhost:1/velocity-none:1":         {"registry localhost:1 did not take", "build it in an earlier step"},
		"example.com/Upper:1":                 {"tag \"example.com/Upper:1\"", "lower case"},
		"--output=x":                          {"tag \"--output=x\""},
		"a@sha256:" + strings.Repeat("0", 64): {"digest"},
	} {
		_, err := e.Push(t.Context(), executor.ImagePush{Tags: []string{tag}, Stdout: io.Discard})
		wantImageError(t, err, parts...)
	}
	_, err := e.Push(t.Context(), executor.ImagePush{})
	wantImageError(t, err, "no tag")
}
