package egress

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// A canary is an https server on loopback that counts who came.
type canary struct {
	*httptest.Server
	asked atomic.Int32
}

func newCanary(t *testing.T, answer http.HandlerFunc) *canary {
	t.Helper()
	c := &canary{}
	c.Server = httptest.NewUnstartedServer(answer)
	c.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			c.asked.Add(1)
		}
	}
	c.StartTLS()
	t.Cleanup(c.Close)
	return c
}

func (c *canary) port() string {
	return strconv.Itoa(c.Listener.Addr().(*net.TCPAddr).Port)
}

// trusting are files from the canary, which is allowed to be on loopback.
func trusting(t *testing.T, c *canary) *Files {
	return &Files{
		Dir:    filepath.Join(t.TempDir(), "tools"),
		permit: func(a netip.Addr) bool { return a.IsLoopback() },
		tls:    c.Client().Transport.(*http.Transport).TLSClientConfig,
	}
}

func TestGet(t *testing.T) {
	const program = "#!/bin/sh\necho tool\n"
	c := newCanary(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(program)) })
	f := trusting(t, c)
	path, err := f.Get(t.Context(), c.URL+"/tool", sumOf(program))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || string(text) != program || info.Mode().Perm() != 0o700 {
		t.Errorf("got %q, %v, %v", text, info, errors.Join(err, statErr))
	}
	if again, err := f.Get(t.Context(), c.URL+"/tool", sumOf(program)); again != path || err != nil || c.asked.Load() != 1 {
		t.Errorf("Get again = %q, %v after %d connections", again, err, c.asked.Load())
	}
	if err := os.WriteFile(path, []byte("changed"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Get(t.Context(), c.URL+"/tool", sumOf(program)); err != nil || !has(path, sumOf(program)) || c.asked.Load() != 2 {
		t.Errorf("Get of a changed file: %v after %d connections", err, c.asked.Load())
	}
}

func TestGetRefuses(t *testing.T) {
	elsewhere := newCanary(t, func(http.ResponseWriter, *http.Request) {})
	c := newCanary(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		case "/none":
			http.NotFound(w, r)
		case "/big":
			for range maxSize>>20 + 1 {
				_, _ = w.Write(make([]byte, 1<<20))
			}
		}
	})
	f := trusting(t, c)
	empty := sumOf("")
	for name, a := range map[string]struct{ address, sum, want string }{
		"redirect":    {c.URL + "/redirect", empty, "302"},
		"not found":   {c.URL + "/none", empty, "404"},
		"too big":     {c.URL + "/big", empty, "32 MiB"},
		"other sum":   {c.URL + "/empty", sumOf("x"), "its sha256 is " + empty},
		"no sum":      {c.URL, "", "64 hex digits"},
		"path as sum": {c.URL, "../../../etc/passwd", "64 hex digits"},
		"upper case":  {c.URL, strings.ToUpper(empty), "64 hex digits"},
		"http":        {"http://example.com/x", empty, "https"},
		"file":        {"file:///etc/passwd", empty, "https"},
		"user":        {"https://u:pass@example.com/x", empty, "https"},
		"nothing":     {"", empty, "https"},
		"odd":         {"https://exa mple/%zz", empty, "https"},
	} {
		_, err := f.Get(t.Context(), a.address, a.sum)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), a.want) {
			t.Errorf("%s: %v; want a refusal with %q", name, err, a.want)
		}
	}
	if n := elsewhere.asked.Load(); n > 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
	if left, err := filepath.Glob(filepath.Join(f.Dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// No way of spelling or naming an address leads to one that is not public, and no
// proxy is asked to go there.
func TestGetStaysOutside(t *testing.T) {
	c := newCanary(t, func(http.ResponseWriter, *http.Request) {})
	t.Setenv("HTTPS_PROXY", c.URL)
	t.Setenv("https_proxy", c.URL)
	var to atomic.Pointer[[]netip.Addr]
	f := &Files{Dir: t.TempDir(), resolver: fakeResolver(t, &to), tls: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the canary would answer anybody
	try := func(name, host string) {
		_, err := f.Get(t.Context(), "https://"+host+":"+c.port()+"/", sumOf(""))
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v; want a refusal", name, err)
		}
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]"} {
		try(host, host)
	}
	for _, addr := range []string{"127.0.0.1", "0.0.0.0", "169.254.169.254", "10.0.0.1", "100.64.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fd00::1", "fe80::1"} {
		to.Store(&[]netip.Addr{netip.MustParseAddr(addr)})
		try("a name for "+addr, "victim.example.com")
	}
	if n := c.asked.Load(); n > 0 {
		t.Errorf("somebody came %d times", n)
	}
}

// Numbers that other programs read as addresses are names here, and lead to what
// the name server says.
func TestGetOddNumbers(t *testing.T) {
	c := newCanary(t, func(http.ResponseWriter, *http.Request) {})
	var to atomic.Pointer[[]netip.Addr]
	to.Store(&[]netip.Addr{netip.MustParseAddr("127.0.0.1")})
	f := &Files{Dir: t.TempDir(), resolver: fakeResolver(t, &to), tls: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the canary would answer anybody
	for _, host := range []string{"2130706433", "0177.0.0.1", "0x7f.1", "127.1"} {
		if _, err := f.Get(t.Context(), "https://"+host+":"+c.port()+"/", sumOf("")); err == nil {
			t.Errorf("%s: fetched", host)
		}
	}
	if n := c.asked.Load(); n > 0 {
		t.Errorf("somebody came %d times", n)
	}
}

// fakeResolver answers each question for an address with those in to.
func fakeResolver(t *testing.T, to *atomic.Pointer[[]netip.Addr]) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		question := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			var addrs []netip.Addr
			if p := to.Load(); p != nil {
				addrs = *p
			}
			_, _ = server.WriteTo(answer(question[:n], addrs), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// answer is a name server's to a question: those of addrs that are of its type.
func answer(question []byte, addrs []netip.Addr) []byte {
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	kind := binary.BigEndian.Uint16(question[end+1:])
	reply := append([]byte(nil), question[:end+5]...)
	reply[2], reply[3] = 0x81, 0x80
	count := 0
	for _, a := range addrs {
		if (kind == 1) != a.Is4() {
			continue
		}
		count++
		data := a.AsSlice()
		reply = append(reply, 0xc0, 12)
		reply = binary.BigEndian.AppendUint16(reply, kind)
		reply = append(reply, 0, 1, 0, 0, 0, 0)
		reply = binary.BigEndian.AppendUint16(reply, uint16(len(data)))
		reply = append(reply, data...)
	}
	binary.BigEndian.PutUint16(reply[6:], uint16(count))
	binary.BigEndian.PutUint32(reply[8:], 0)
	return reply
}

func TestPublic(t *testing.T) {
	for _, text := range []string{"8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450::1", "::ffff:8.8.8.8"} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("public(%s) = false", text)
		}
	}
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.1.2.3", "100.127.255.255", "127.0.0.2", "169.254.169.254", "172.16.0.1", "192.0.0.1",
		"192.168.1.1", "198.19.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:100.64.0.1", "64:ff9b::808:808", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:808:808::1",
		"fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "2606::1%eth0", "fec0::1", "ff02::1",
	} {
		if public(netip.MustParseAddr(text)) {
			t.Errorf("public(%s) = true", text)
		}
	}
}

// Only the newest files are kept.
func TestEvict(t *testing.T) {
	c := newCanary(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Path)) })
	f := trusting(t, c)
	for i := range maxKept + 4 {
		name := "/" + strconv.Itoa(i)
		path, err := f.Get(t.Context(), c.URL+name, sumOf(name))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(f.Dir)
	if err != nil || len(left) != maxKept {
		t.Errorf("%d files are left, %v; want %d", len(left), err, maxKept)
	}
	if !has(filepath.Join(f.Dir, sumOf("/"+strconv.Itoa(maxKept+3))), sumOf("/"+strconv.Itoa(maxKept+3))) {
		t.Error("the newest is gone")
	}
}
