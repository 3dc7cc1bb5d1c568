package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/client"
)

// serverHealth asks the server that is named.
func (d *doctor) serverHealth(ctx context.Context) []symptom {
	h, err := d.server.Health(ctx, d.c.now)
	if err != nil {
		return []symptom{problem("%v", err).mend("see whether the server runs, what it logs, and whether its address and certificate are right")}
	}
	return d.judgeHealth(h)
}

// judgeHealth says what of a server's health is to be mended.
func (d *doctor) judgeHealth(h client.Health) []symptom {
	found := []symptom{fine("the server takes builds in")}
	if !h.Ready {
		var broken []string
		for line := range strings.Lines(h.Conditions) {
			if name, how, _ := strings.Cut(strings.TrimSpace(line), ": "); how != "ok" {
				broken = append(broken, name)
			}
		}
		found[0] = problem("the server takes no builds in; not in order: %s", inQuotes(broken)).
			mend("its log says why, in lines with \"not ready\"")
	}
	found = append(found, clock("the server's", h.Skew))
	if !h.Expires.IsZero() {
		found = append(found, d.expires("the server's certificate", h.Expires))
	}
	return found
}

// mostSkew is how far clocks may differ before signatures are refused here or there.
const mostSkew = 30 * time.Second

// clock compares this machine's with somebody's.
func clock(whose string, skew time.Duration) symptom {
	if skew.Abs() < mostSkew {
		return fine("this clock and %s agree", whose)
	}
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	return problem("this clock is %s %s %s", skew.Abs(), way, whose).mend("let NTP set the clocks: systemctl enable --now systemd-timesyncd, or chrony")
}

// expires says how long a certificate is good.
func (d *doctor) expires(what string, end time.Time) symptom {
	const mend = "renew it; the server reads its files anew when they change"
	date := end.UTC().Format(time.DateOnly)
	switch left := end.Sub(d.c.now()); {
	case left <= 0:
		return problem("%s expired on %s", what, date).mend(mend)
	case left < renewWithin:
		return warning("%s expires on %s", what, date).mend(mend)
	}
	return fine("%s is good until %s", what, date)
}

// renewWithin is how long before its end a certificate should have been renewed.
const renewWithin = 14 * 24 * time.Hour

// certificate looks at the one that is configured.
func (d *doctor) certificate(context.Context) []symptom {
	if d.conf.TLS.Certificate == "" {
		return []symptom{skipped("no certificate is configured")}
	}
	pair, err := tls.LoadX509KeyPair(d.conf.TLS.Certificate, d.conf.TLS.Key)
	if err != nil {
		return []symptom{problem("the certificate cannot be used: %v", err).mend("tls.certificate and tls.key name PEM files that go together")}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return []symptom{problem("the certificate cannot be read: %v", err).mend("tls.certificate names a PEM file whose first block is the server's")}
	}
	found := []symptom{d.expires(d.conf.TLS.Certificate, leaf.NotAfter)}
	if host := hostOf(d.conf.URL); host != "" && leaf.VerifyHostname(host) != nil {
		found = append(found, problem("the certificate is not for %s, which url names", host).mend("ask for one with that name, or change url"))
	}
	return found
}

// token asks what the token may.
func (d *doctor) token(ctx context.Context) []symptom {
	self, err := d.server.Self(ctx)
	var refused *client.StatusError
	if errors.As(err, &refused) {
		return []symptom{problem("the server does not take the token: %v", err).mend("velocity login keeps another one")}
	}
	if err != nil {
		return []symptom{skipped("the token could not be tried: %v", err)}
	}
	return []symptom{fine("the token is %s's, with the right %s", self.Name, self.Rights)}
}

// localServer asks the server that runs on this state, if one does.
func (d *doctor) localServer(ctx context.Context) []symptom {
	local, err := d.local()
	if err != nil {
		return []symptom{skipped("%v", err)}
	}
	h, err := local.Health(ctx, d.c.now)
	if errors.Is(err, client.ErrNoServer) {
		return []symptom{skipped("no server that listens runs on this state")}
	}
	if err != nil {
		return []symptom{problem("%v", err).mend("see what the server logs, or start it anew")}
	}
	return d.judgeHealth(h)[:1] // its clock is this one
}

// local speaks to the server of the state that is configured, whether one runs or not.
func (d *doctor) local() (*client.Client, error) {
	state, err := d.c.stateFolder(d.conf.State)
	if err != nil {
		return nil, err
	}
	return client.Local(filepath.Join(state, ownRepository, "velocity")), nil
}
