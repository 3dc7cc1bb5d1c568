// Package egress fetches files that a repository names from the network, without
// becoming its author's way into the network that the builder stands in.
//
// Only https is spoken, and only to public addresses: what is checked is the
// address of the connection that is being made, after all names were looked up,
// so that no answer of a name server, no spelling of an address and no redirect
// (none is followed) leads elsewhere. The settings for proxies are ignored. What
// is fetched must have the sum that the repository says, or it is thrown away.
package egress

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	maxSize = 32 << 20         // of a file, in bytes
	timeout = 30 * time.Second // for all of it
	maxKept = 16               // files; the oldest go
)

// Files are executables that were fetched, by their sum. It is safe for
// concurrent use, also by several processes.
type Files struct {
	Dir string // its parent exists; nobody but this user writes there

	resolver *net.Resolver         // nil is the machine's
	permit   func(netip.Addr) bool // nil is public
	tls      *tls.Config           // nil is the machine's
}

// ErrRefused marks files that are not fetched whatever the network does, or
// that are not what they should be: the repository has to change.
var ErrRefused = errors.New("refused")

// Get returns the path of the executable with this SHA-256, in lower-case hex,
// and fetches it from address unless it was before. It is looked at again each
// time: a file that has changed is fetched anew.
func (f *Files) Get(ctx context.Context, address, sum string) (path string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("%w: %.200q is not an https address without a user", ErrRefused, address)
	}
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != sum {
		return "", fmt.Errorf("%w: sha256 %.80q is not 64 hex digits in lower case", ErrRefused, sum)
	}
	path = filepath.Join(f.Dir, sum)
	if has(path, sum) {
		return path, nil
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return "", err
	}
	if err := f.fetch(ctx, u, path, sum); err != nil {
		return "", fmt.Errorf("fetch %s: %w", u.Redacted(), err)
	}
	return path, f.evict(sum)
}

// has reports whether the file is there and unchanged.
func has(path, sum string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	h := sha256.New()
	_, err = io.Copy(h, file)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == sum
}

// fetch writes the file under its final name once it is known to be the right
// one.
func (f *Files) fetch(ctx context.Context, u *url.URL, path, sum string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	client := f.client()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: the server answered %s, want 200 and no redirect", ErrRefused, response.Status)
	}
	file, err := os.CreateTemp(f.Dir, "new-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, h), io.LimitReader(response.Body, maxSize+1))
	if err = errors.Join(err, file.Chmod(0o700), file.Close()); err != nil {
		return err
	}
	if n > maxSize {
		return fmt.Errorf("%w: it has more than %d MiB", ErrRefused, maxSize>>20)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("%w: its sha256 is %s, the repository wants %s", ErrRefused, got, sum)
	}
	return os.Rename(file.Name(), path)
}

// client follows no redirects, asks no proxy and keeps no connection.
func (f *Files) client() *http.Client {
	dialer := &net.Dialer{Timeout: timeout, Resolver: f.resolver, Control: f.control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: f.tls, ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// control is asked for each connection, once its address is final.
func (f *Files) control(_, address string, _ syscall.RawConn) error {
	permit := f.permit
	if permit == nil {
		permit = public
	}
	return permitted(address, permit)
}

// Public is for the Control of a net.Dialer that is to reach public addresses only:
// it is asked once the address of a connection is final, so that no name leads
// elsewhere. The error is ErrRefused.
func Public(_, address string, _ syscall.RawConn) error { return permitted(address, public) }

func permitted(address string, permit func(netip.Addr) bool) error {
	to, err := netip.ParseAddrPort(address)
	if err == nil && permit(to.Addr()) {
		return nil
	}
	return fmt.Errorf("%w: %s is not a public address", ErrRefused, address)
}

// evict removes the oldest files, but not the one just fetched.
func (f *Files) evict(keep string) error {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return err
	}
	type aged struct {
		name string
		at   time.Time
	}
	var old []aged
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Name() != keep {
			old = append(old, aged{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(old, func(a, b aged) int { return b.at.Compare(a.at) })
	for _, o := range old[min(len(old), maxKept-1):] {
		os.Remove(filepath.Join(f.Dir, o.name))
	}
	return nil
}
