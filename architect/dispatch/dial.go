package dispatch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// DialOptions say how a NATS server is reached. The zero value is right for a
// server with a certificate that this machine knows.
type DialOptions struct {
	Roots        *x509.CertPool    // nil: those of the machine
	Certificates []tls.Certificate // this side's own, for servers that ask for one

	// InProcess is a server in this process: it is dialled instead of any URL.
	InProcess interface{ InProcessConn() (net.Conn, error) }

	// AllowPlain permits connections without TLS beyond this machine, for networks
	// that are encrypted or trusted otherwise. Who can read them can read all but
	// secrets: sources' addresses, commands, logs.
	AllowPlain bool

	// Proxy finds the proxy of wss connections, as http.ProxyFromEnvironment does;
	// nil: there is none.
	Proxy func(*http.Request) (*url.URL, error)

	Log *slog.Logger // told of breaks and reconnects; nil: nobody is
}

// Credentials are what the architect shows an external NATS server: a credentials
// file, or else the seed of a user nkey.
type Credentials struct {
	File string // as made by nsc: JWT and seed
	Keys *Keys
}

// CheckAddresses tells whether Dial and DialArchitect would try the addresses:
// several are separated by commas.
func CheckAddresses(servers string) error {
	_, err := DialOptions{}.kind(servers)
	return err
}

// ErrNotAuthorized is the answer of a server that does not know the key, or does
// not know it any more.
var ErrNotAuthorized = errors.New("not authorized: ask for a new registration")

// Dial connects the builder name to NATS and returns once it is connected. url is
// wss://host/nats of an architect, or tls://host[:port] of a cluster, several
// separated by commas; ws:// and nats:// only on this machine unless
// o.AllowPlain. What a later try may mend is tried again until ctx ends; what it
// will not, a bad certificate or ErrNotAuthorized, is returned. An established
// connection reconnects for ever, and says so in o.Log.
func Dial(ctx context.Context, url, name string, keys *Keys, o DialOptions) (*nats.Conn, error) {
	if !ValidName(name) {
		return nil, badName(name)
	}
	return connect(ctx, url, o, nats.Name(name), nats.CustomInboxPrefix(inbox(name)), keys.option())
}

// DialArchitect connects the architect to an external NATS server. It is Dial but
// for its inbox and its permissions.
func DialArchitect(ctx context.Context, url string, c Credentials, o DialOptions) (*nats.Conn, error) {
	identity := nats.UserCredentials(c.File)
	if c.File == "" {
		if c.Keys == nil {
			return nil, errors.New("connect to NATS: neither a credentials file nor a key is given")
		}
		identity = c.Keys.option()
	}
	return connect(ctx, url, o, append(ArchitectOptions(), identity)...)
}

// ArchitectOptions are those of every connection of the architect.
func ArchitectOptions() []nats.Option {
	return []nats.Option{nats.Name("architect"), nats.CustomInboxPrefix(architectInbox)}
}

func (k *Keys) option() nats.Option { return nats.Nkey(k.userPublic, k.user.Sign) }

func connect(ctx context.Context, url string, o DialOptions, identity ...nats.Option) (*nats.Conn, error) {
	options, err := o.options(url)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	options = append(options, identity...)
	for try := 1; ; try++ {
		conn, err := nats.Connect(url, options...)
		if err == nil {
			return conn, nil
		}
		if err = readable(err); o.InProcess != nil || !mayMend(err) {
			return nil, fmt.Errorf("connect to %s: %w", url, err)
		}
		wait := backoff(try)
		o.log().Warn("no connection yet", "url", url, "err", err, "again in", wait.Round(time.Millisecond))
		if !pause(ctx, wait) {
			return nil, fmt.Errorf("connect to %s: %w: %w", url, context.Cause(ctx), err)
		}
	}
}

// dialWithin bounds one try, TLS and authentication included.
const dialWithin = 10 * time.Second

func (o DialOptions) options(servers string) ([]nats.Option, error) {
	log := o.log()
	all := []nats.Option{
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(backoff), nats.ReconnectBufSize(-1), // what is lost is asked for again
		nats.Timeout(dialWithin), nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: closed by us
				log.Warn("connection is broken", "err", readable(err))
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Warn("no connection yet", "err", readable(err))
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { log.Info("connected again", "url", c.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS", "err", readable(err)) }),
	}
	if o.InProcess != nil {
		return append(all, nats.InProcessServer(o.InProcess)), nil
	}
	kind, err := o.kind(servers)
	if err != nil {
		return nil, err
	}
	if kind.encrypted {
		all = append(all, nats.Secure(&tls.Config{RootCAs: o.Roots, Certificates: o.Certificates, MinVersion: kind.minVersion}))
	}
	if kind.websocket {
		// Names are looked up by whoever dials, and the architect's one address is
		// the only one: no server may send us elsewhere.
		all = append(all, nats.SkipHostLookup(), nats.IgnoreDiscoveredServers(), nats.SetCustomDialer(&tunnel{proxy: o.Proxy, encrypted: kind.encrypted}))
	}
	return all, nil
}

// pingEvery finds connections that broke in silence, within three of it.
const pingEvery = 10 * time.Second

func (o DialOptions) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// A kind is what the schemes of all URLs of one connection say.
type kind struct {
	encrypted, websocket bool
	minVersion           uint16
}

var kinds = map[string]kind{
	"wss":  {encrypted: true, websocket: true, minVersion: tls.VersionTLS13},
	"tls":  {encrypted: true, minVersion: tls.VersionTLS12}, // clusters may be older than we are
	"ws":   {websocket: true},
	"nats": {},
}

// kind checks the URLs of servers. Their text may come from a registration's
// answer, so that nothing in it is taken for granted.
func (o DialOptions) kind(servers string) (kind, error) {
	var all kind
	for i, server := range strings.Split(servers, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Hostname() == "" {
			return all, errors.New("the address is not a URL such as wss://ci.example.org/nats")
		}
		one, ok := kinds[u.Scheme]
		switch {
		case !ok:
			return all, fmt.Errorf("%s://%s: want wss://, tls://, or on this machine ws:// or nats://", u.Scheme, u.Host)
		case u.User != nil:
			return all, fmt.Errorf("%s://%s: credentials do not belong into an address", u.Scheme, u.Host)
		case i > 0 && one != all:
			return all, fmt.Errorf("%s://%s: all addresses must begin with the same scheme", u.Scheme, u.Host)
		case !one.encrypted && !o.AllowPlain && !loopback(u.Hostname()):
			return all, fmt.Errorf("%s://%s is not encrypted and not on this machine: use wss:// or tls://, or allow plain connections explicitly", u.Scheme, u.Host)
		}
		all = one
	}
	return all, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// readable says what a person can do about err.
func readable(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAuthExpired):
		return fmt.Errorf("%w (%w)", ErrNotAuthorized, err)
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's certificate is signed by nobody this machine trusts: give its authority's certificate (%w)", err)
	case errors.As(err, &name), errors.As(err, &invalid):
		return fmt.Errorf("the server's certificate is not good for this address (%w)", err)
	}
	return err
}

// mayMend tells whether a later try can end otherwise without anybody's doing.
func mayMend(err error) bool {
	var unverified *tls.CertificateVerificationError
	var proxy *proxyError
	return !errors.Is(err, ErrNotAuthorized) && !errors.As(err, &unverified) && !errors.As(err, &proxy) &&
		!errors.Is(err, nats.ErrSecureConnWanted)
}
